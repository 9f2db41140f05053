//! Judging a JSON object against a table of fields.
