//! UTC days and minutes. Time is always a parameter: nothing here reads a clock.
//!
//! Moments are milliseconds since 1970 without leap seconds, as Unix time has them, and written as
//! RFC 3339 in UTC with whole seconds. Block timestamps are whole seconds.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::time::{Timestamp, UtcDay};
//!
//! let day: UtcDay = "2026-01-31".parse()?;
//! assert_eq!(day.epoch(), 20_484);
//! assert_eq!("20484".parse(), Ok(day));
//!
//! let noon = day.start().plus_millis(12 * 3_600_000);
//! assert_eq!(noon.to_string(), "2026-01-31T12:00:00Z");
//! assert_eq!((noon.day(), noon.minute().of_day()), (day, 720));
//! assert_eq!(Timestamp::from_secs(day.end().secs()).day(), day.next());
//! # Ok::<(), nodesys_core::ids::ParseError>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::ParseError;

/// How far the nonce of a node's request, a time in milliseconds, may be from the backend's time, and that
/// of a wallet's message ahead of it.
pub const NONCE_WINDOW_MILLIS: u64 = 5 * 60_000;

/// Minutes in a UTC day.
pub const MINUTES_PER_DAY: u16 = 1440;
const SECS_PER_DAY: u64 = 86_400;

/// The wait in milliseconds after a failure that so many came before: `first`, twice that, and so on, up to
/// `longest`.
///
/// # Examples
///
/// ```
/// let waits = [0, 1, 2, 40].map(|failures| nodesys_core::time::doubled(60, failures, 3600));
/// assert_eq!(waits, [60, 120, 240, 3600]);
/// ```
pub const fn doubled(first: u64, failures: u32, longest: u64) -> u64 {
    let factor = if failures < u64::BITS { 1 << failures } else { u64::MAX };
    let wait = first.saturating_mul(factor);
    if wait < longest { wait } else { longest }
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds since 1970, as block timestamps are; saturates where milliseconds leave 64 bits.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// The minute this moment lies in.
    pub const fn minute(self) -> Minute {
        Minute(self.0 / 60_000)
    }

    /// The UTC day this moment lies in.
    pub fn day(self) -> UtcDay {
        self.minute().day()
    }

    /// This moment plus a number of milliseconds, saturating.
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this moment, zero when it is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_day = self.secs() % SECS_PER_DAY;
        let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{}T{h:02}:{m:02}:{s:02}Z", self.day())
    }
}

/// A minute since 1970-01-01T00:00Z: what one heartbeat is for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Minute(pub u64);

impl Minute {
    /// The UTC day the minute belongs to.
    pub fn day(self) -> UtcDay {
        // 2^32 days are 11 million years; a timestamp past them saturates and is refused as late.
        UtcDay(u32::try_from(self.0 / u64::from(MINUTES_PER_DAY)).unwrap_or(u32::MAX))
    }

    /// The minute's place in its day, 0 to 1439: its bit in the day bitmap.
    pub fn of_day(self) -> u16 {
        u16::try_from(self.0 % u64::from(MINUTES_PER_DAY)).expect("a remainder below 1440")
    }

    /// When the minute begins.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(60_000))
    }

    /// The minute after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A UTC day, counted from 1970-01-01 (day 0). Also the epoch's number on chain.
///
/// Written `2026-01-31` for people and in routes, and as the plain number where a file or the
/// chain wants the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(pub u32);

impl UtcDay {
    /// The day's number as the chain has it.
    pub const fn epoch(self) -> u64 {
        self.0 as u64
    }

    /// From an epoch on chain; `None` beyond the calendar this program can hold.
    pub fn from_epoch(epoch: u64) -> Option<Self> {
        u32::try_from(epoch).ok().map(Self)
    }

    /// Midnight at which the day begins.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_secs(self.0 as u64 * SECS_PER_DAY)
    }

    /// Midnight at which the day ends: the first moment of the next day.
    pub const fn end(self) -> Timestamp {
        Timestamp::from_secs((self.0 as u64 + 1) * SECS_PER_DAY)
    }

    /// The first minute of the day.
    pub const fn first_minute(self) -> Minute {
        Minute(self.0 as u64 * MINUTES_PER_DAY as u64)
    }

    /// The day after.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The day before; day 0 has none.
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(day) => Some(Self(day)),
            None => None,
        }
    }

    /// Year, month (1-12), day (1-31) by the proleptic Gregorian calendar
    /// (the era method of "chrono-Compatible Low-Level Date Algorithms", H. Hinnant).
    fn civil(self) -> (u64, u64, u64) {
        let z = u64::from(self.0) + 719_468;
        let era = z / 146_097;
        let doe = z % 146_097;
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + u64::from(month <= 2), month, day)
    }

    fn from_civil(year: u64, month: u64, day: u64) -> Option<Self> {
        // Years of four digits: a date has ten characters wherever it stands.
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return None;
        }
        let y = year - u64::from(month <= 2);
        let mp = if month > 2 { month - 3 } else { month + 9 };
        let doy = (153 * mp + 2) / 5 + day - 1;
        let (era, yoe) = (y / 400, y % 400);
        let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy;
        let found = Self(u32::try_from(days.checked_sub(719_468)?).ok()?);
        // 31 February and its like come back as another date.
        (found.civil() == (year, month, day)).then_some(found)
    }
}

impl fmt::Display for UtcDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for UtcDay {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = |problem| ParseError::new("day", problem, text);
        // Seven digits reach beyond the year 9999, where dates end, and fit 32 bits.
        if !text.is_empty() && text.len() <= 7 && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Self).map_err(|_| bad("too large"));
        }
        let parts: Vec<&str> = text.split('-').collect();
        let [y, m, d] = parts[..] else { return Err(bad("expected YYYY-MM-DD or an epoch")) };
        // One spelling a day: it is the name of a folder and a part of URLs.
        if (y.len(), m.len(), d.len()) != (4, 2, 2) {
            return Err(bad("expected YYYY-MM-DD or an epoch"));
        }
        let number = |s: &str| {
            if s.bytes().all(|b| b.is_ascii_digit()) { s.parse().ok() } else { None }
        };
        match (number(y), number(m), number(d)) {
            (Some(y), Some(m), Some(d)) => {
                Self::from_civil(y, m, d).ok_or_else(|| bad("no such day"))
            }
            _ => Err(bad("expected YYYY-MM-DD or an epoch")),
        }
    }
}

impl Serialize for UtcDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        for (epoch, text) in [
            (0, "1970-01-01"),
            (11_016, "2000-02-29"),
            (20_454, "2026-01-01"),
            (20_780, "2026-11-23"),
        ] {
            assert_eq!(UtcDay(epoch).to_string(), text);
            assert_eq!(text.parse(), Ok(UtcDay(epoch)));
            assert_eq!(epoch.to_string().parse(), Ok(UtcDay(epoch)));
        }
        for bad in ["2026-02-30", "2025-02-29", "2026-1-1", "1969-12-31", "", "x", "2026-13-01"] {
            assert!(bad.parse::<UtcDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn midnight_belongs_to_the_new_day() {
        let day = UtcDay(20_454);
        assert_eq!(day.end().day(), day.next());
        assert_eq!(Timestamp::from_millis(day.end().millis() - 1).day(), day);
        assert_eq!(day.first_minute().of_day(), 0);
        assert_eq!(day.start().to_string(), "2026-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn days_round_trip(epoch in 0u32..2_932_896) {
            let day = UtcDay(epoch);
            prop_assert_eq!(day.to_string().parse::<UtcDay>(), Ok(day));
        }
    }
}
