//! How long to wait, as texts say it.

use std::time::Duration;

/// No wait is believed beyond this.
const MAX_WAIT: Duration = Duration::from_hours(7 * 24);

/// The wait that a text names: `in 1 hour`, `wait for 14 minutes`, `wait one minute`; `None` when it names none.
///
/// Several units in a row add up: `1 hour and 5 minutes`.
pub fn wait_in(text: &str) -> Option<Duration> {
    let lower = text.to_lowercase();
    let mut words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .peekable();
    let mut total: Option<Duration> = None;
    while let Some(word) = words.next() {
        let found = number(word).and_then(|count| Some((count, unit(words.peek()?)?)));
        match found {
            Some((count, seconds)) => {
                let wait = Duration::from_secs(count.saturating_mul(seconds));
                total = Some(total.unwrap_or_default().saturating_add(wait));
                words.next();
            }
            None if total.is_some() && word != "and" => break,
            None => {}
        }
    }
    total
        .filter(|wait| !wait.is_zero())
        .map(|wait| wait.min(MAX_WAIT))
}

/// Seconds as the service gives them, number or text.
pub(super) fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    let wait = Duration::try_from_secs_f64(seconds.ceil()).ok()?;
    Some(wait.min(MAX_WAIT))
}

fn number(word: &str) -> Option<u64> {
    match word {
        "a" | "an" | "one" => Some(1),
        "two" => Some(2),
        "three" => Some(3),
        "five" => Some(5),
        "ten" => Some(10),
        _ => word.parse().ok(),
    }
}

fn unit(word: &str) -> Option<u64> {
    match word {
        "s" | "sec" | "second" | "seconds" => Some(1),
        "m" | "min" | "minute" | "minutes" => Some(60),
        "h" | "hour" | "hours" => Some(3600),
        "day" | "days" => Some(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn waits_are_read_from_text() {
        let table = [
            ("Too many requests in 1 hour. Try again later.", Some(3600)),
            (
                "Please wait for 14 minutes before generating more images.",
                Some(840),
            ),
            ("or wait one minute.", Some(60)),
            ("try again in 1 hour and 5 minutes, or 7 days", Some(3900)),
            ("Try again later.", None),
            ("in 0 seconds", None),
            ("99999999999999999999 hours", None),
            ("9999999999999999999 hours", Some(7 * 86_400)),
        ];

        for (text, expected) in table {
            assert_eq!(wait_in(text).map(|wait| wait.as_secs()), expected, "{text}");
        }
    }

    #[test]
    fn seconds_are_read_leniently() {
        let read = |value| seconds(&value).map(|wait| wait.as_secs());

        assert_eq!(read(json!(5400)), Some(5400));
        assert_eq!(read(json!("12.2")), Some(13));
        assert_eq!(read(json!(-1)), None);
        assert_eq!(read(json!(null)), None);
    }
}
