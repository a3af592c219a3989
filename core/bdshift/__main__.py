"""``python -m bdshift``."""

from bdshift.cli import main

if __name__ == "__main__":
    main(prog_name="bdshift")
