//! The CSV files of a day bundle: one row type each, one spelling of every row.
//!
//! A file is CSV as RFC 4180 has it, but for LF after each line instead of CRLF, and without quotes:
//! a header line and rows, hex in lower case with `0x`, amounts in wei, minutes of the UTC day.
//! Parsing is strict: a row that would be written otherwise than it stands is refused, as are
//! rows out of order or twice. So a file's bytes and its rows determine each other.

use std::fmt::{self, Write as _};

use alloy_primitives::{Address, U256, hex};
use serde::{Deserialize, Serialize};

use crate::bitmap::DayBitmap;
use crate::ids::{Amount, LicenseIndex, ParseError, Points};
use crate::time::MINUTES_PER_DAY;

/// A bundle's format. A project's days are of the newest when they are built; older ones verify for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Format {
    /// The last log of a license decided who held it.
    #[serde(rename = "nodesys-bundle-1")]
    One,
    /// `uncounted.csv` names licenses whose logs contradict themselves, and `terms_hash` the terms. It is
    /// not settled yet: maintenance and adjustments will be part of it.
    #[serde(rename = "nodesys-bundle-2")]
    Two,
}

impl Format {
    /// The one that days are built in.
    pub const NEWEST: Self = Self::Two;
}

/// A row of one of the bundle's CSV files.
pub trait Row: Sized {
    /// The file's name in the bundle.
    const FILE: &'static str;
    /// The header line, without the line feed.
    const HEADER: &'static str;
    /// What rows are sorted by; strictly rising.
    type Key: Ord + Copy;

    /// The row's sort key.
    fn key(&self) -> Self::Key;
    /// Writes the row without the line feed.
    ///
    /// # Errors
    ///
    /// None of its own: those of writing to `out`, and a `String` has none.
    fn write(&self, out: &mut String) -> fmt::Result;
    /// Reads the columns, as many as the header has.
    ///
    /// # Errors
    ///
    /// What is wrong with which column, for a [`FileError`].
    fn read(columns: &[&str]) -> Result<Self, String>;
}

/// Where and why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: {problem}")]
pub struct FileError {
    /// The file's name.
    pub file: &'static str,
    /// The line, counted from 1 (the header).
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// The file's bytes. Rows must be in rising order of their key; see [`sort_rows`].
pub fn write_file<R: Row>(rows: &[R]) -> String {
    let mut out = String::with_capacity(R::HEADER.len() + 1 + rows.len() * 64);
    out.push_str(R::HEADER);
    out.push('\n');
    for row in rows {
        row.write(&mut out).expect("writing to a String cannot fail");
        out.push('\n');
    }
    out
}

/// Puts rows into the file's order.
pub fn sort_rows<R: Row>(rows: &mut [R]) {
    rows.sort_by_key(Row::key);
}

/// Reads a file strictly: what [`write_file`] would write, byte for byte, and nothing else.
///
/// # Errors
///
/// [`FileError`] names the first line that is not as it would be written, is out of order, or
/// repeats the key of the one before.
///
/// # Examples
///
/// ```
/// use nodesys_core::files::{PointsRow, parse_file, write_file};
///
/// let bytes = "license,points\n0,1440\n3,720\n";
/// let rows: Vec<PointsRow> = parse_file(bytes.as_bytes())?;
/// assert_eq!(rows[1].points.get(), 720);
/// assert_eq!(write_file(&rows), bytes);
///
/// let error = parse_file::<PointsRow>(b"license,points\n0,0720\n").expect_err("one spelling only");
/// assert_eq!(error.line, 2);
/// # Ok::<(), nodesys_core::files::FileError>(())
/// ```
pub fn parse_file<R: Row>(bytes: &[u8]) -> Result<Vec<R>, FileError> {
    let fail = |line: usize, problem: String| FileError { file: R::FILE, line, problem };
    let text = std::str::from_utf8(bytes).map_err(|_| fail(1, "not UTF-8 text".into()))?;
    // So a file that was cut short is seen to be.
    let Some(body) = text.strip_suffix('\n') else {
        return Err(fail(text.lines().count().max(1), "the last line has no line feed".into()));
    };
    let mut lines = body.split('\n');
    if lines.next() != Some(R::HEADER) {
        return Err(fail(1, format!("expected the header {:?}", R::HEADER)));
    }
    let mut rows: Vec<R> = Vec::new();
    let mut spelled = String::new();
    for (index, line) in lines.enumerate() {
        let number = index + 2;
        // Counted first, since rows index them.
        let columns: Vec<&str> = line.split(',').collect();
        let expected = R::HEADER.split(',').count();
        if columns.len() != expected {
            let problem = format!("{} columns, expected {expected}", columns.len());
            return Err(fail(number, problem));
        }
        let row = R::read(&columns).map_err(|problem| fail(number, problem))?;
        // Written again and compared: so no column's parser has to be strict by itself.
        spelled.clear();
        row.write(&mut spelled).expect("writing to a String cannot fail");
        if spelled != line {
            return Err(fail(number, format!("not in canonical form, expected {spelled:?}")));
        }
        match rows.last().map(|last| last.key().cmp(&row.key())) {
            Some(std::cmp::Ordering::Equal) => {
                return Err(fail(number, "duplicate of the row before".into()));
            }
            Some(std::cmp::Ordering::Greater) => {
                return Err(fail(number, "out of order: rows rise by their first column".into()));
            }
            _ => rows.push(row),
        }
    }
    Ok(rows)
}

/// The first line in which two files differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Difference {
    /// The file.
    pub file: String,
    /// The line, counted from 1 (the header).
    pub line: usize,
    /// The header, which names the columns.
    pub header: String,
    /// What was given; `None` where the file ends before.
    pub given: Option<String>,
    /// What was computed; `None` where the file should end before.
    pub computed: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = "(no such line)";
        write!(
            f,
            "{} line {} ({}): given {}, computed {}",
            self.file,
            self.line,
            self.header,
            self.given.as_deref().unwrap_or(missing),
            self.computed.as_deref().unwrap_or(missing),
        )
    }
}

/// Compares a given file with the computed one, line by line.
///
/// # Examples
///
/// ```
/// use nodesys_core::files::first_difference;
///
/// let (given, computed) = ("license,points\n0,1440\n", "license,points\n0,1439\n");
/// let found = first_difference("points.csv", given.as_bytes(), computed.as_bytes());
/// let words = "points.csv line 2 (license,points): given 0,1440, computed 0,1439";
/// assert_eq!(found.map(|difference| difference.to_string()).as_deref(), Some(words));
/// ```
pub fn first_difference(file: &str, given: &[u8], computed: &[u8]) -> Option<Difference> {
    if given == computed {
        return None;
    }
    let split = |bytes: &[u8]| -> Vec<String> {
        bytes
            .strip_suffix(b"\n")
            .unwrap_or(bytes)
            .split(|b| *b == b'\n')
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    };
    let (given, computed) = (split(given), split(computed));
    // Bytes that differ in equal lines: one file has no last line feed.
    let line = (0..given.len().max(computed.len()))
        .find(|index| given.get(*index) != computed.get(*index))
        .unwrap_or(given.len().saturating_sub(1));
    Some(Difference {
        file: file.to_owned(),
        line: line + 1,
        header: computed.first().cloned().unwrap_or_default(),
        given: given.get(line).cloned(),
        computed: computed.get(line).cloned(),
    })
}

fn column<T: std::str::FromStr<Err = ParseError>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{name}: {error}"))
}

fn address_column(name: &str, text: &str) -> Result<Address, String> {
    let mut bytes = [0; 20];
    text.strip_prefix("0x")
        .and_then(|digits| hex::decode_to_slice(digits, &mut bytes).ok())
        .map(|()| Address::from(bytes))
        .ok_or_else(|| format!("{name}: not an address: {text:.60?}"))
}

fn minutes_column(name: &str, text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(minutes) if minutes <= MINUTES_PER_DAY => Ok(minutes),
        _ => Err(format!("{name}: not a number of minutes from 0 to 1440: {text:.20?}")),
    }
}

/// A row of `uptime.csv`: one license that has ever been leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UptimeRow {
    /// The dense index.
    pub license: LicenseIndex,
    /// The ERC-721 contract.
    pub collection: Address,
    /// The token.
    pub token_id: U256,
    /// Credited minutes: how many bits of `bitmap` are set.
    pub minutes: u16,
    /// Minutes in which it was expected to run; they are the last ones of the day.
    pub expected: u16,
    /// The credited minutes.
    pub bitmap: DayBitmap,
}

impl Row for UptimeRow {
    const FILE: &'static str = "uptime.csv";
    const HEADER: &'static str = "license,collection,token_id,minutes,expected,bitmap";
    type Key = LicenseIndex;

    fn key(&self) -> LicenseIndex {
        self.license
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        write!(
            out,
            "{},{:#x},{},{},{},{}",
            self.license, self.collection, self.token_id, self.minutes, self.expected, self.bitmap
        )
    }

    fn read(columns: &[&str]) -> Result<Self, String> {
        let row = Self {
            license: column("license", columns[0])?,
            collection: address_column("collection", columns[1])?,
            token_id: U256::from_str_radix(columns[2], 10)
                .map_err(|_| format!("token_id: not a decimal number: {:.80?}", columns[2]))?,
            minutes: minutes_column("minutes", columns[3])?,
            expected: minutes_column("expected", columns[4])?,
            bitmap: column("bitmap", columns[5])?,
        };
        // Said twice: people read the number, rules the bitmap. So the two must agree.
        if row.minutes == row.bitmap.count() {
            Ok(row)
        } else {
            let count = row.bitmap.count();
            Err(format!(
                "license {}: minutes {} but the bitmap has {count}",
                row.license, row.minutes
            ))
        }
    }
}

/// A row of `holders.csv`: who held and who rented a license at the snapshot block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderRow {
    /// The dense index.
    pub license: LicenseIndex,
    /// The token's owner, zero where it is burnt.
    pub holder: Address,
    /// The renter while a rental ran, else zero.
    pub renter: Address,
}

impl Row for HolderRow {
    const FILE: &'static str = "holders.csv";
    const HEADER: &'static str = "license,holder,renter";
    type Key = LicenseIndex;

    fn key(&self) -> LicenseIndex {
        self.license
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        write!(out, "{},{:#x},{:#x}", self.license, self.holder, self.renter)
    }

    fn read(columns: &[&str]) -> Result<Self, String> {
        Ok(Self {
            license: column("license", columns[0])?,
            holder: address_column("holder", columns[1])?,
            renter: address_column("renter", columns[2])?,
        })
    }
}

/// A row of `points.csv`: a license's points for the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointsRow {
    /// The dense index.
    pub license: LicenseIndex,
    /// Its points.
    pub points: Points,
}

impl Row for PointsRow {
    const FILE: &'static str = "points.csv";
    const HEADER: &'static str = "license,points";
    type Key = LicenseIndex;

    fn key(&self) -> LicenseIndex {
        self.license
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        write!(out, "{},{}", self.license, self.points)
    }

    fn read(columns: &[&str]) -> Result<Self, String> {
        Ok(Self { license: column("license", columns[0])?, points: column("points", columns[1])? })
    }
}

/// A row of `rewards.csv`: all an account has earned up to and with this day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewardRow {
    /// Who earned.
    pub account: Address,
    /// The cumulative amount in wei.
    pub cumulative: Amount,
}

impl Row for RewardRow {
    const FILE: &'static str = "rewards.csv";
    const HEADER: &'static str = "account,cumulative";
    type Key = Address;

    fn key(&self) -> Address {
        self.account
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        write!(out, "{:#x},{}", self.account, self.cumulative)
    }

    fn read(columns: &[&str]) -> Result<Self, String> {
        Ok(Self {
            account: address_column("account", columns[0])?,
            cumulative: column("cumulative", columns[1])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(license: u32, points: u64) -> PointsRow {
        PointsRow { license: LicenseIndex(license), points: Points::checked_new(points).unwrap() }
    }

    #[test]
    fn one_spelling_only() {
        let good = b"license,points\n1,5\n2,0\n";
        let rows = parse_file::<PointsRow>(good).unwrap();
        assert_eq!(rows, [points(1, 5), points(2, 0)]);
        assert_eq!(write_file(&rows).as_bytes(), good);
        for (bad, line, part) in [
            (&b""[..], 1, "line feed"),
            (b"license,points", 1, "line feed"),
            (b"license;points\n", 1, "header"),
            (b"license,points\n1,5", 2, "line feed"),
            (b"license,points\n1,05\n", 2, "plain decimal"),
            (b"license,points\n1,5,\n", 2, "3 columns"),
            (b"license,points\r\n1,5\r\n", 1, "header"),
            (b"license,points\n1,5\n1,5\n", 3, "duplicate"),
            (b"license,points\n2,5\n1,5\n", 3, "out of order"),
            (b"license,points\n1,9223372036854775808\n", 2, "too large"),
            (b"license,points\n\xff,5\n", 1, "UTF-8"),
        ] {
            let error = parse_file::<PointsRow>(bad).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.problem.contains(part), "{error}");
        }
        let upper = format!("account,cumulative\n0x{},5\n", "AB".repeat(20));
        let error = parse_file::<RewardRow>(upper.as_bytes()).unwrap_err();
        assert!(error.problem.contains("canonical"), "{error}");
    }

    #[test]
    fn the_first_difference_is_named() {
        let a = write_file(&[points(1, 5), points(2, 7)]);
        let b = write_file(&[points(1, 5), points(2, 8), points(3, 1)]);
        let found = first_difference("points.csv", a.as_bytes(), b.as_bytes()).unwrap();
        assert_eq!((found.line, found.given.as_deref()), (3, Some("2,7")));
        assert_eq!(
            found.to_string(),
            "points.csv line 3 (license,points): given 2,7, computed 2,8"
        );
        let longer = write_file(&[points(1, 5), points(2, 7), points(3, 1)]);
        let found = first_difference("points.csv", a.as_bytes(), longer.as_bytes()).unwrap();
        assert_eq!((found.line, found.given), (4, None));
        assert_eq!(first_difference("points.csv", a.as_bytes(), a.as_bytes()), None);
        assert!(first_difference("x", b"a\n", b"a").is_some());
    }

    proptest! {
        #[test]
        fn uptime_rows_round_trip(
            index in 0u32.., token in any::<[u8; 32]>(), from in 0u16..=1440, address in any::<[u8; 20]>()
        ) {
            let bitmap = DayBitmap::from_minute_on(from);
            let row = UptimeRow {
                license: LicenseIndex(index),
                collection: address.into(),
                token_id: U256::from_be_bytes(token),
                minutes: bitmap.count(),
                expected: 1440,
                bitmap,
            };
            let text = write_file(std::slice::from_ref(&row));
            prop_assert_eq!(parse_file::<UptimeRow>(text.as_bytes()), Ok(vec![row]));
        }
    }
}
