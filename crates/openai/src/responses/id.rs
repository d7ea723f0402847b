//! Identifiers of a response and of everything in it.

/// Characters of a seed: 128 random bits in hex.
const SEED: usize = 32;

/// Characters of the counter behind an item's seed.
const COUNTER: usize = 4;

/// Makes the identifiers of one response, all of one seed.
///
/// An item's id tells its response's, so that a reference to an item can be looked up without an index.
#[derive(Debug, Clone)]
pub struct Ids {
    seed: String,
    next: u16,
}

impl Ids {
    /// Identifiers of `seed`, which must be unique; it is put into 32 hex digits.
    pub fn new(seed: u128) -> Self {
        Self {
            seed: format!("{seed:032x}"),
            next: 0,
        }
    }

    /// `resp_...`
    pub fn response(&self) -> String {
        format!("resp_{}", self.seed)
    }

    /// A new identifier that begins with `prefix` and an underscore.
    pub fn item(&mut self, prefix: &str) -> String {
        let number = self.next;
        // An answer of 65536 items does not exist; were there one, ids would repeat, and nothing would break.
        self.next = self.next.wrapping_add(1);
        format!("{prefix}_{}{number:04x}", self.seed)
    }
}

/// The response that the item called `id` belongs to; `None` where the id is not one of ours.
pub fn response_of(id: &str) -> Option<String> {
    let (_, rest) = id.split_once('_')?;
    let ours = rest.len() == SEED + COUNTER && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    ours.then(|| format!("resp_{}", rest.get(..SEED).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_leads_to_its_response() {
        let mut ids = Ids::new(7);

        let (first, second) = (ids.item("msg"), ids.item("fc"));

        assert_ne!(first, second);
        assert_eq!(response_of(&first), Some(ids.response()));
        assert_eq!(response_of(&second), Some(ids.response()));
        assert_eq!(response_of("msg_123"), None);
        assert_eq!(response_of(&format!("rs_{}", "é".repeat(18))), None);
    }
}
