"""What is done with a model or an audit, each step one function: commands and programs call it."""
