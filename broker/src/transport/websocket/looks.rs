//! When it is worth while to look at the beginning of a request: one that comes byte by byte must not be parsed from its
//! first byte at each of them.

use super::upgrade::MAX_REQUEST;

/// Blank lines that are taken for the end of the request. More of them are no request.
const ENDS: u8 = 8;

/// What has been looked at.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Bytes that have been searched for the end.
    seen: usize,
    /// Bytes at which it is time for a look in any case.
    due: usize,
    ends: u8,
}

impl Looks {
    /// Whether to look at these bytes, which are those of the time before and more: when the end may be among them, when
    /// they are twice as many as at the last look, and when there must be no more.
    pub(crate) fn is_due(&mut self, bytes: &[u8]) -> bool {
        let fresh = bytes.get(self.seen.saturating_sub(2)..).unwrap_or_default();
        let ends = fresh.windows(2).any(|two| two == b"\n\n")
            || fresh.windows(3).any(|three| three == b"\n\r\n");
        self.seen = bytes.len();
        let may_end = ends && self.ends < ENDS;
        if !may_end && bytes.len() < self.due {
            return false;
        }
        self.ends += u8::from(may_end);
        self.due = (bytes.len() * 2).min(MAX_REQUEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_comes_byte_by_byte_is_looked_at_a_few_times_and_when_it_ends() {
        let request = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
        for step in [1, 2, 3, 7] {
            let mut looks = Looks::default();
            let lengths = (0..request.len()).step_by(step).chain([request.len()]);
            let due: Vec<usize> =
                lengths.filter(|len| looks.is_due(&request.as_bytes()[..*len])).collect();
            assert!(due.len() < 20, "{due:?}");
            assert_eq!(due.last(), Some(&request.len()));
        }
    }

    #[test]
    fn blank_lines_without_a_request_are_looked_at_a_few_times_and_when_there_are_too_many_bytes() {
        let blank = "\r\n".repeat(MAX_REQUEST / 2);
        let mut looks = Looks::default();
        let due: Vec<usize> =
            (0..=blank.len()).filter(|len| looks.is_due(&blank.as_bytes()[..*len])).collect();
        assert!(due.len() < 30, "{due:?}");
        assert_eq!(due.last(), Some(&MAX_REQUEST));
    }
}
