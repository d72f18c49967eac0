//! Ids of dice, as services give them to what they make for a while.

/// A UUID of version 4.
pub(super) fn uuid() -> String {
    let dice = fastrand::u128(..);
    let versioned = dice & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{versioned:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Whether a text has the form of a UUID of any version.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        for _ in 0..100 {
            let id = uuid();
            assert!(is_uuid(&id) && &id[14..15] == "4" && "89ab".contains(&id[19..20]), "{id}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        for text in ["", "1", "e38e71c3-1234-4234-8234-12345678901", "g38e71c3-1234-4234-8234-123456789012"] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
