"""What people in the field met, one file a kind; each report's own files are in ../shared/field-reports."""
