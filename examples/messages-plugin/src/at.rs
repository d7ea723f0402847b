//! A place in the request's JSON, which knows how it is called: errors name the field at fault.

use aurora_sdk::Error;
use serde_json::{Map, Number, Value};

/// A value and its path, as in `messages.0.content`.
#[derive(Debug, Clone)]
pub(crate) struct At<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { value, path }
    }

    fn below(&self, value: &'a Value, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self { value, path }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The member `name`; none where it is absent or null.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Self>, Error> {
        let value = self.object()?.get(name);
        let value = value.filter(|value| !value.is_null());
        Ok(value.map(|value| self.below(value, name)))
    }

    /// The member `name`, which must be there.
    pub(crate) fn get(&self, name: &str) -> Result<Self, Error> {
        self.find(name)?
            .ok_or_else(|| self.below(self.value, name).missing())
    }

    pub(crate) fn object(&self) -> Result<&'a Map<String, Value>, Error> {
        self.value
            .as_object()
            .ok_or_else(|| self.wrong("an object"))
    }

    pub(crate) fn items(&self) -> Result<impl Iterator<Item = Self>, Error> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let items = items.iter().enumerate();
        Ok(items.map(|(place, value)| self.below(value, &place.to_string())))
    }

    pub(crate) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.wrong("a string"))
    }

    /// A text that is not empty, such as a name.
    pub(crate) fn name(&self) -> Result<&'a str, Error> {
        match self.text()? {
            "" => Err(self.refused("must not be empty")),
            name => Ok(name),
        }
    }

    pub(crate) fn number(&self) -> Result<&'a Number, Error> {
        self.value.as_number().ok_or_else(|| self.wrong("a number"))
    }

    /// A whole number above zero.
    pub(crate) fn count(&self) -> Result<u64, Error> {
        let count = self.value.as_u64().filter(|count| *count > 0);
        count.ok_or_else(|| self.wrong("a whole number, 1 at the least"))
    }

    pub(crate) fn truth(&self) -> Result<bool, Error> {
        self.value
            .as_bool()
            .ok_or_else(|| self.wrong("true or false"))
    }

    fn missing(&self) -> Error {
        let message = format!("{}: this field is needed", self.path);
        Error::invalid("missing_required_parameter", self.path.clone(), message)
    }

    fn wrong(&self, expected: &str) -> Error {
        let message = if self.path.is_empty() {
            format!("the body must be {expected}")
        } else {
            format!("{}: must be {expected}", self.path)
        };
        Error::invalid("invalid_type", self.path.clone(), message)
    }

    /// It has the right type, and yet it will not do.
    pub(crate) fn refused(&self, why: &str) -> Error {
        let message = format!("{}: {why}", self.path);
        Error::invalid("invalid_value", self.path.clone(), message)
    }
}
