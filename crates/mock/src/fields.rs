//! The members of a request, read with the types that an endpoint wants.

use std::ops::RangeInclusive;

use aurora_sdk::Error;
use serde_json::{Map, Value};

use crate::refusal::{missing, wrong_type, wrong_value};

/// A JSON object, or the text fields of a form. A `null` member counts as absent.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    members: Map<String, Value>,
    /// Form fields are text only, so numbers and flags are read from text.
    textual: bool,
}

impl Fields {
    /// Reads a JSON object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            members: serde_json::from_slice(body).map_err(Error::invalid_json)?,
            textual: false,
        })
    }

    /// The text fields of a form; of equal names the last counts.
    pub(crate) fn of_form(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            members: fields
                .into_iter()
                .map(|(name, text)| (name, Value::String(text)))
                .collect(),
            textual: true,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.get(name)
            .map(|value| value.as_str().ok_or_else(|| wrong_type(name, "a string")))
            .transpose()
    }

    /// A text that must be there and not be empty.
    pub(crate) fn required_text(&self, name: &str) -> Result<&str, Error> {
        self.text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing(name))
    }

    pub(crate) fn integer(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let expected = if *range.end() == u64::MAX {
            format!("an integer of at least {}", range.start())
        } else {
            format!("an integer from {} to {}", range.start(), range.end())
        };
        let number = match value {
            Value::String(text) if self.textual => text.trim().parse::<i128>().ok(),
            Value::Number(number) => number.as_i128(),
            _ => None,
        };
        let number = number.ok_or_else(|| wrong_type(name, &expected))?;
        u64::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
            .map(Some)
            .ok_or_else(|| wrong_value(name, &expected))
    }

    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let number = match value {
            Value::String(text) if self.textual => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        let number = number.ok_or_else(|| wrong_type(name, &expected))?;
        if range.contains(&number) {
            Ok(Some(number))
        } else {
            Err(wrong_value(name, &expected))
        }
    }

    /// A flag; absent is false. Forms may say `true`, `1`, `yes` or `on`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if self.textual => Ok(matches!(
                text.trim().to_ascii_lowercase().as_str(),
                "true" | "1" | "yes" | "on"
            )),
            Some(_) => Err(wrong_type(name, "a boolean")),
        }
    }

    /// One word of `known`, or `None` where the member is absent.
    pub(crate) fn word(
        &self,
        name: &str,
        known: &[&'static str],
    ) -> Result<Option<&'static str>, Error> {
        let Some(asked) = self.text(name)? else {
            return Ok(None);
        };
        known
            .iter()
            .find(|word| **word == asked)
            .copied()
            .map(Some)
            .ok_or_else(|| wrong_value(name, &format!("one of {}", known.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_members_are_named_in_the_error() {
        let fields = Fields::parse(br#"{"n":-1,"text":3,"flag":"true","size":2.5,"null":null}"#)
            .expect("an object");

        let errors = [
            fields.integer("n", 1..=10).unwrap_err(),
            fields.text("text").unwrap_err(),
            fields.flag("flag").unwrap_err(),
            fields.integer("size", 1..=10).unwrap_err(),
            fields.required_text("null").unwrap_err(),
        ];

        assert_eq!(
            errors
                .each_ref()
                .map(|error| error.param().unwrap_or_default()),
            ["n", "text", "flag", "size", "null"]
        );
        assert_eq!(errors[0].code(), "invalid_value");
        assert_eq!(errors[3].code(), "invalid_type");
        assert_eq!(errors[4].code(), "missing_required_parameter");
    }

    #[test]
    fn form_fields_are_numbers_and_flags_by_their_text() {
        let fields = Fields::of_form([
            ("n".to_owned(), " 3".to_owned()),
            ("stream".to_owned(), "On".to_owned()),
            ("speed".to_owned(), "1.5".to_owned()),
        ]);

        assert_eq!(fields.integer("n", 1..=10).unwrap(), Some(3));
        assert!(fields.flag("stream").unwrap());
        assert_eq!(fields.number("speed", 0.25..=4.0).unwrap(), Some(1.5));
    }
}
