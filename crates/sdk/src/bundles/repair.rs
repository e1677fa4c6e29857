//! Undoing what a careless copy, or one changed byte, does to a published file. The committed hash
//! proves what comes out, so nothing has to be believed.

use std::borrow::Cow;
use std::ops::Range;

use alloy::primitives::{B256, keccak256};
use nodesys_core::bundle::BUNDLE_JSON;
use nodesys_core::files::{FileError, HolderRow, PointsRow, RewardRow, Row, UptimeRow, parse_file};
use nodesys_core::holders::UncountedRow;

/// The bytes that tables are made of.
const TABLE: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz_,\n";
/// The bytes that `bundle.json` is made of.
const JSON: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz\"{}[]:,-._";
/// Bytes hashed at most: a second or two.
const WORK: usize = 400_000_000;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The committed bytes, where these are they but for their line ends, a byte order mark, the last line
/// feed, or one replaced byte of a small file.
pub(super) fn repair(file: &str, given: &[u8], expected: B256) -> Option<Vec<u8>> {
    let plain = plain(file, given);
    if keccak256(&plain) == expected {
        return Some(plain.into_owned());
    }
    one_byte(file, given, expected)
}

/// What in their spelling alone differs, where the files are the same but for that.
pub(super) fn spelling(given: &[u8], committed: &[u8]) -> Option<&'static str> {
    if given == committed || same_text(given) != same_text(committed) {
        return None;
    }
    if given.starts_with(BYTE_ORDER_MARK) {
        Some("it begins with a byte order mark")
    } else if given.windows(2).any(|two| two == b"\r\n") {
        Some("its lines end in CRLF instead of LF")
    } else if given.len() + 1 == committed.len() {
        Some("its last line feed is missing")
    } else {
        Some("its line ends are others")
    }
}

fn same_text(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\r').collect();
    while text.last() == Some(&b'\n') {
        text.pop();
    }
    text
}

/// The file as programs here write it: LF, no mark, and a last line feed in tables only.
fn plain<'a>(file: &str, given: &'a [u8]) -> Cow<'a, [u8]> {
    let mut text = same_text(given);
    if file != BUNDLE_JSON {
        text.push(b'\n');
    }
    if text == given { Cow::Borrowed(given) } else { Cow::Owned(text) }
}

/// The file as it was, where a single byte of a small file was replaced: trying them all tells which.
fn one_byte(file: &str, given: &[u8], expected: B256) -> Option<Vec<u8>> {
    let broken = match file {
        UptimeRow::FILE => parse_file::<UptimeRow>(given).err(),
        HolderRow::FILE => parse_file::<HolderRow>(given).err(),
        UncountedRow::FILE => parse_file::<UncountedRow>(given).err(),
        PointsRow::FILE => parse_file::<PointsRow>(given).err(),
        RewardRow::FILE => parse_file::<RewardRow>(given).err(),
        _ => None,
    };
    // A row that does not parse is the one, or the one before it; else any may be.
    let suspects = broken.map(|FileError { line, .. }| {
        let start = line_range(given, line.saturating_sub(1)).start;
        start..line_range(given, line).end
    });
    suspects.into_iter().chain(std::iter::once(0..given.len())).find_map(|range| {
        let alphabet = if file == BUNDLE_JSON { JSON } else { TABLE };
        replaced(given, range, alphabet, expected)
    })
}

/// The bytes with one of `range` replaced, where that gives the hash and the work is bounded.
fn replaced(given: &[u8], range: Range<usize>, alphabet: &[u8], expected: B256) -> Option<Vec<u8>> {
    // Each try hashes the whole file.
    let work = given.len().checked_mul(range.len())?.checked_mul(alphabet.len())?;
    if work > WORK {
        return None;
    }
    let mut tried = given.to_vec();
    for i in range {
        let was = *given.get(i)?;
        for &byte in alphabet.iter().filter(|&&byte| byte != was) {
            tried[i] = byte;
            if keccak256(&tried) == expected {
                return Some(tried);
            }
        }
        tried[i] = was;
    }
    None
}

/// Where line `number` (from 1) of a file is, its line feed included.
fn line_range(file: &[u8], number: usize) -> Range<usize> {
    let mut ends = file.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i + 1);
    let start = match number {
        0 | 1 => 0,
        _ => ends.nth(number - 2).unwrap_or(file.len()),
    };
    start..ends.next().unwrap_or(file.len())
}
