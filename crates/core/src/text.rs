//! Text of strangers, made fit for a terminal and for a line of a log.
//!
//! Names, symbols, problem details and errors of RPCs are written by others. Control characters in them
//! move the cursor, hide lines or change the terminal; direction marks and invisible characters make a
//! line read as another one. Each is shown as `�`. Every program prints through these functions.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::text::{line, lines};
//!
//! assert_eq!(line("acme\u{1b}[2J\u{202e}emca\n"), "acme�[2J�emca�");
//! assert_eq!(lines("one\ntwo\u{9b}31m\r\n"), "one\ntwo�31m�\n");
//! ```

use std::borrow::Cow;

/// One line: no character that a terminal acts on, no line end.
pub fn line(text: &str) -> Cow<'_, str> {
    replaced(text, |c| acts_on_a_terminal(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Several lines: as [`line`], but line feeds and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| acts_on_a_terminal(c) && !matches!(c, '\n' | '\t'))
}

fn replaced(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().any(&bad) {
        text.chars().map(|c| if bad(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a terminal acts on a character rather than showing it: control characters (C0, C1, DEL), and
/// the marks of direction, joining and invisibility of Unicode's category Cf.
pub fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_acts_on_is_shown_and_all_else_kept() {
        for bad in "\u{0}\u{7}\u{8}\u{1b}\u{7f}\u{85}\u{9b}\u{9d}\u{200e}\u{202e}\u{2066}\u{feff}\r"
            .chars()
        {
            assert_eq!(line(&format!("a{bad}b")), "a\u{fffd}b", "{bad:?}");
            assert_eq!(lines(&format!("a{bad}b\n")), "a\u{fffd}b\n", "{bad:?}");
        }
        for good in ["", "plain", "Straße 東京 🚀 مرحبا", "a\u{301}"] {
            assert!(matches!(line(good), Cow::Borrowed(same) if same == good));
        }
        assert_eq!(line("a\tb"), "a\u{fffd}b");
    }
}
