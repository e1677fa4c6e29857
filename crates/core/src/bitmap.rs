//! The day bitmap: one bit for each of the 1,440 minutes of a UTC day.
//!
//! On the wire and on disk it is 180 bytes; minute `m` is bit `m % 8`, least significant first,
//! of byte `m / 8`. Setting a bit is idempotent, and union is how replicas' days are folded.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};
use std::str::FromStr;

use alloy_primitives::hex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::ParseError;
use crate::time::MINUTES_PER_DAY;

/// Bytes of a day bitmap.
pub const BITMAP_BYTES: usize = MINUTES_PER_DAY as usize / 8;

/// A set of minutes of one UTC day.
///
/// # Examples
///
/// ```
/// use nodesys_core::bitmap::DayBitmap;
///
/// let mut seen = DayBitmap::EMPTY;
/// assert!(seen.set(9));
/// assert!(!seen.set(9), "a minute counts once");
/// assert_eq!(seen.as_bytes()[1], 0b10, "minute 9 is bit 1 of byte 1");
///
/// // Two replicas each saw a part of the day.
/// let day = seen | DayBitmap::from_minute_on(1380);
/// assert_eq!(day.count(), 61);
/// assert_eq!(day.runs(), [(9, 10), (1380, 1440)]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DayBitmap([u8; BITMAP_BYTES]);

impl DayBitmap {
    /// No minute.
    pub const EMPTY: Self = Self([0; BITMAP_BYTES]);
    /// Every minute.
    pub const FULL: Self = Self([0xff; BITMAP_BYTES]);

    /// From the stored [`BITMAP_BYTES`]; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 180 bytes.
    pub const fn as_bytes(&self) -> &[u8; BITMAP_BYTES] {
        &self.0
    }

    /// All minutes from `first` (0..=1440) to the day's end.
    pub fn from_minute_on(first: u16) -> Self {
        let mut bitmap = Self::EMPTY;
        (first..MINUTES_PER_DAY).for_each(|minute| {
            bitmap.set(minute);
        });
        bitmap
    }

    /// Sets a minute's bit; true when it was clear before. A minute past 1439 sets nothing.
    pub fn set(&mut self, minute: u16) -> bool {
        let (byte, bit) = (usize::from(minute / 8), 1u8 << (minute % 8));
        match self.0.get_mut(byte) {
            Some(slot) => {
                let fresh = *slot & bit == 0;
                *slot |= bit;
                fresh
            }
            None => false,
        }
    }

    /// Whether a minute's bit is set.
    pub fn contains(&self, minute: u16) -> bool {
        self.0.get(usize::from(minute / 8)).is_some_and(|byte| byte & (1 << (minute % 8)) != 0)
    }

    /// How many minutes are set, 0 to 1440.
    pub fn count(&self) -> u16 {
        let ones: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        u16::try_from(ones).expect("180 bytes have 1440 bits")
    }

    /// The runs of set minutes as half-open ranges `(from, to)`, in order.
    pub fn runs(&self) -> Vec<(u16, u16)> {
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for minute in (0..MINUTES_PER_DAY).filter(|minute| self.contains(*minute)) {
            match runs.last_mut() {
                Some((_, to)) if *to == minute => *to += 1,
                _ => runs.push((minute, minute + 1)),
            }
        }
        runs
    }
}

impl Default for DayBitmap {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl BitOr for DayBitmap {
    type Output = Self;
    fn bitor(mut self, other: Self) -> Self {
        self |= other;
        self
    }
}

impl BitOrAssign for DayBitmap {
    fn bitor_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
    }
}

impl BitAnd for DayBitmap {
    type Output = Self;
    fn bitand(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a &= b);
        self
    }
}

impl Not for DayBitmap {
    type Output = Self;
    fn not(mut self) -> Self {
        self.0.iter_mut().for_each(|byte| *byte = !*byte);
        self
    }
}

/// `0x` and 360 lower-case hex digits.
impl fmt::Display for DayBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_prefixed(self.0))
    }
}

impl fmt::Debug for DayBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The runs, since 180 bytes of hex say nothing to a reader.
        write!(f, "DayBitmap({:?})", self.runs())
    }
}

impl FromStr for DayBitmap {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // Upper case is refused, since the text is hashed as a part of uptime.csv.
        let bad = |problem| ParseError::new("bitmap", problem, text);
        let Some(digits) = text.strip_prefix("0x").filter(|d| d.len() == 2 * BITMAP_BYTES) else {
            return Err(bad("expected 0x and 360 hex digits"));
        };
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad("hex must be lower case"));
        }
        let mut bytes = [0; BITMAP_BYTES];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad("not hex"))?;
        Ok(Self(bytes))
    }
}

impl Serialize for DayBitmap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DayBitmap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    #[test]
    fn minute_m_is_bit_m_mod_8_of_byte_m_div_8() {
        let mut bitmap = DayBitmap::EMPTY;
        bitmap.set(0);
        bitmap.set(9);
        bitmap.set(1439);
        assert_eq!(bitmap.as_bytes()[0], 0b1);
        assert_eq!(bitmap.as_bytes()[1], 0b10);
        assert_eq!(bitmap.as_bytes()[179], 0b1000_0000);
        assert!(!bitmap.set(1440) && !bitmap.contains(1440));
        assert_eq!(bitmap.runs(), [(0, 1), (9, 10), (1439, 1440)]);
        assert_eq!(DayBitmap::FULL.runs(), [(0, 1440)]);
        assert_eq!(DayBitmap::from_minute_on(1440), DayBitmap::EMPTY);
    }

    #[test]
    fn a_bitmap_has_one_spelling() {
        let bitmap = DayBitmap::from_minute_on(1432);
        let text = format!("0x{}ff", "00".repeat(179));
        assert_eq!((bitmap.to_string(), text.parse()), (text.clone(), Ok(bitmap)));
        assert_eq!(serde_json::to_string(&bitmap).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<DayBitmap>(&format!("\"{text}\"")).unwrap(), bitmap);
        assert_eq!(format!("{bitmap:?}"), "DayBitmap([(1432, 1440)])");
        for (bad, problem) in [
            (text.replace("ff", "FF"), "lower case"),
            (text.replace("ff", "fg"), "not hex"),
            (text.replace("ff", "f"), "360 hex digits"),
            (text[2..].to_owned(), "360 hex digits"),
            (format!("{text}00"), "360 hex digits"),
        ] {
            let error = bad.parse::<DayBitmap>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        for length in [0, BITMAP_BYTES - 1, BITMAP_BYTES + 1] {
            assert_eq!(DayBitmap::from_bytes(&vec![0; length]), None);
        }
    }

    proptest! {
        #[test]
        fn a_bitmap_is_the_set_of_its_minutes(
            a in btree_set(0u16..1440, 0..200), b in btree_set(0u16..1440, 0..200)
        ) {
            let fold = |set: &std::collections::BTreeSet<u16>| {
                let mut bitmap = DayBitmap::EMPTY;
                for minute in set {
                    assert!(bitmap.set(*minute));
                    assert!(!bitmap.set(*minute));
                }
                bitmap
            };
            let (x, y) = (fold(&a), fold(&b));
            prop_assert_eq!(usize::from(x.count()), a.len());
            prop_assert_eq!(usize::from((x | y).count()), a.union(&b).count());
            prop_assert_eq!(usize::from((x & y).count()), a.intersection(&b).count());
            prop_assert_eq!(usize::from((!x).count()), 1440 - a.len());
            prop_assert_eq!(x.to_string().parse::<DayBitmap>(), Ok(x));
            prop_assert_eq!(DayBitmap::from_bytes(x.as_bytes()), Some(x));
        }
    }
}
