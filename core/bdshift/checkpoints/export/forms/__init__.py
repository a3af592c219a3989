"""One format per module; they are found by name (`…export.form.EXPORT_FORMS`)."""
