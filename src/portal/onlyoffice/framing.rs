//! How long the upload handler takes a numbered chunk to be. It does not measure it: it subtracts from the length of the
//! request what it believes the frame to be, which is right for one frame only.

/// What the server counts for a part's header beside its name and its value.
const HEADER_EXTRA: i64 = 2;
/// What it counts for a delimiter beside the boundary: two line breaks, two dashes.
const DELIMITER_EXTRA: i64 = 6;
/// What it counts for everything else.
const REST: i64 = 6;
/// The longest boundary it reads, in characters.
pub(super) const BOUNDARY_MAX: usize = 100;

/// The computed length of the chunk in a request of `request_bytes` with this boundary, whose first part has these
/// headers.
pub(super) fn computed_bytes(request_bytes: u64, boundary: &str, headers: &[(String, String)]) -> i64 {
    // It counts characters of headers, in UTF-16, and bytes of everything else.
    let units = |text: &str| i64::try_from(text.encode_utf16().count()).unwrap_or(i64::MAX);
    let headers: i64 = headers.iter().map(|(name, value)| units(name) + units(value) + HEADER_EXTRA).sum();
    let delimiter = i64::try_from(boundary.len()).unwrap_or(i64::MAX) + DELIMITER_EXTRA;
    i64::try_from(request_bytes).unwrap_or(i64::MAX) - headers - 2 * delimiter - REST
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "Content-Type: application/octet-stream";
    const DISPOSITION: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"blob\"";

    /// By how much the computed length of a chunk is wrong.
    fn error(headers: &[&str], end: &str) -> i64 {
        let chunk = "x".repeat(1000);
        let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let body = format!("--BB\r\n{head}\r\n{chunk}\r\n--BB--{end}");
        let pairs: Vec<(String, String)> = headers
            .iter()
            .map(|header| header.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
            .collect();
        computed_bytes(body.len() as u64, "BB", &pairs) - 1000
    }

    #[test]
    fn two_headers_and_a_final_line_break_are_exact() {
        assert_eq!(error(&[DISPOSITION, TYPE], "\r\n"), 0);
    }

    #[test]
    fn every_other_frame_is_wrong() {
        assert_eq!(error(&[DISPOSITION], "\r\n"), -2);
        assert_eq!(error(&[DISPOSITION, TYPE], ""), -2);
        assert_eq!(error(&[DISPOSITION, TYPE, "Content-Length: 1000"], "\r\n"), 2);
        let accents = "Content-Disposition: form-data; name=\"file\"; filename=\"äöü\"";
        assert_eq!(error(&[accents, TYPE], "\r\n"), 3);
    }
}
