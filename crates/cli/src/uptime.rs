//! A license's minutes of one day, the missing ones as times, and a map of the day.

use std::fmt;

use nodesys_core::api::LicenseDay;
use nodesys_core::bitmap::DayBitmap;
use nodesys_core::license::LicenseId;
use nodesys_core::time::{MINUTES_PER_DAY, Timestamp, UtcDay};
use nodesys_core::uptime::MILLION;
use serde::Serialize;

use crate::exit::Exit;
use crate::license::name::{LicenseName, resolve};
use crate::output::percent;
use crate::setup::Setup;

/// Reads the day of a license from the backend.
pub(crate) async fn read_uptime(
    setup: &Setup,
    name: &LicenseName,
    day: Option<UtcDay>,
) -> anyhow::Result<Uptime> {
    let backend = setup.backend()?;
    let now = setup.clock().await?.now();
    let day = day.unwrap_or(now.day());
    if day > now.day() {
        return Err(Exit::Usage.because(format!("{day} has not begun: it is {now}")));
    }
    let license = license(setup, name).await?;
    let view = backend.license_day(license.collection, license.token_id, day).await?;
    let excused = match view.closed {
        true => backend.day(day).await?.excused.unwrap_or_default(),
        // Nothing is excused before the day is over.
        false => DayBitmap::EMPTY,
    };
    let minutes = Minutes::of(&view, excused, now);
    Ok(Uptime::new(name, &view, &minutes))
}

/// The license's id; an address and a token need no chain to be asked, only to be named.
async fn license(setup: &Setup, name: &LicenseName) -> anyhow::Result<LicenseId> {
    if let (LicenseName::Collection(collection, token_id), Some(chain_id)) =
        (name, setup.settings.chain_id)
    {
        return Ok(LicenseId { chain_id, collection: *collection, token_id: *token_id });
    }
    let provider = setup.provider().await?;
    Ok(resolve(setup, &provider, name).await?.license)
}

/// The minutes of a day, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Minutes {
    seen: DayBitmap,
    expected: DayBitmap,
    excused: DayBitmap,
    /// First minute that is still to come.
    passed: u16,
}

impl Minutes {
    fn of(view: &LicenseDay, excused: DayBitmap, now: Timestamp) -> Self {
        let today = !view.closed && view.day == now.day();
        let of_day = now.minute().of_day();
        // The backend counts the running minute as expected; here it may still come, or be there.
        let counted = if today { of_day + 1 } else { MINUTES_PER_DAY };
        let passed = if today { of_day } else { MINUTES_PER_DAY };
        let from = counted.saturating_sub(view.expected);
        let still_to_come = DayBitmap::from_minute_on(passed) & !view.bitmap;
        let expected = DayBitmap::from_minute_on(from) & !still_to_come;
        Self { seen: view.bitmap, expected, excused, passed }
    }

    fn due(&self) -> DayBitmap {
        self.expected & !self.excused
    }

    fn missing(&self) -> DayBitmap {
        self.due() & !self.seen
    }

    /// As `nodesys_core::uptime::ratio_ppm`, of what has passed.
    fn ratio_ppm(&self) -> u32 {
        match u32::from(self.due().count()) {
            0 => MILLION,
            due => u32::from((self.seen & self.due()).count()) * MILLION / due,
        }
    }

    const LEGEND: &str = "# up   . missing   ~ excused   - not expected   (blank) still to come";

    fn sign(&self, minute: u16) -> char {
        if self.seen.contains(minute) {
            '#'
        } else if minute >= self.passed {
            ' '
        } else if !self.expected.contains(minute) {
            '-'
        } else if self.excused.contains(minute) {
            '~'
        } else {
            '.'
        }
    }

    /// A line an hour, a sign a minute.
    fn map(&self) -> String {
        let mut map = String::from("      00        10        20        30        40        50\n");
        for hour in 0..24 {
            let signs: String = (hour * 60..(hour + 1) * 60).map(|m| self.sign(m)).collect();
            map.push_str(format!("{hour:02}:00 {signs}").trim_end());
            map.push('\n');
        }
        map
    }
}

/// A run of minutes: from the first, until just before `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct MinuteRange {
    from: String,
    to: String,
    minutes: u16,
}

fn runs(bitmap: DayBitmap) -> Vec<MinuteRange> {
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let run = |(from, to): (u16, u16)| MinuteRange {
        from: clock(from),
        to: clock(to),
        minutes: to - from,
    };
    bitmap.runs().into_iter().map(run).collect()
}

/// The day, printed.
#[derive(Debug, Serialize)]
pub(crate) struct Uptime {
    name: String,
    license: LicenseId,
    day: UtcDay,
    closed: bool,
    minutes: u16,
    expected: u16,
    excused: u16,
    ratio_ppm: u32,
    missing: Vec<MinuteRange>,
    bitmap: DayBitmap,
    #[serde(skip)]
    map: String,
}

impl Uptime {
    fn new(name: &LicenseName, view: &LicenseDay, minutes: &Minutes) -> Self {
        Self {
            name: name.to_string(),
            license: view.license,
            day: view.day,
            closed: view.closed,
            minutes: view.minutes,
            expected: minutes.expected.count(),
            excused: (minutes.expected & minutes.excused).count(),
            ratio_ppm: minutes.ratio_ppm(),
            missing: runs(minutes.missing()),
            bitmap: view.bitmap,
            map: minutes.map(),
        }
    }
}

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.closed { "closed" } else { "open" };
        writeln!(f, "license   {} ({})", self.name, self.license)?;
        writeln!(f, "day       {} UTC ({state})", self.day)?;
        writeln!(f, "minutes   {} of {} expected", self.minutes, self.expected)?;
        if self.excused > 0 {
            writeln!(f, "excused   {}", self.excused)?;
        }
        writeln!(f, "uptime    {}", percent(self.ratio_ppm))?;
        let missing: Vec<String> = self
            .missing
            .iter()
            .map(|run| format!("{}-{} ({} min)", run.from, run.to, run.minutes))
            .collect();
        let none = self.missing.is_empty();
        writeln!(f, "missing   {}", if none { "none".to_owned() } else { missing.join(", ") })?;
        write!(f, "\n{}{}", self.map, Minutes::LEGEND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodesys_core::{Address, U256};

    const DAY: UtcDay = UtcDay(20_454);

    fn view(closed: bool, expected: u16, seen: DayBitmap) -> LicenseDay {
        LicenseDay {
            license: LicenseId {
                chain_id: 1,
                collection: Address::repeat_byte(0xcc),
                token_id: U256::from(1),
            },
            day: DAY,
            closed,
            minutes: seen.count(),
            expected,
            bitmap: seen,
            missing: Vec::new(),
        }
    }

    fn range(from: u16, to: u16) -> DayBitmap {
        DayBitmap::from_minute_on(from) & !DayBitmap::from_minute_on(to)
    }

    fn at(minute: u16) -> Timestamp {
        DAY.start().plus_millis(u64::from(minute) * 60_000 + 30_000)
    }

    #[test]
    fn missing_minutes_are_times() {
        let seen = range(0, 600) | range(800, 1440);
        let later = DAY.end().plus_millis(1);
        let minutes = Minutes::of(&view(true, 1440, seen), DayBitmap::EMPTY, later);
        let missing = runs(minutes.missing());
        assert_eq!(
            missing,
            [MinuteRange { from: "10:00".into(), to: "13:20".into(), minutes: 200 }]
        );
        assert_eq!(minutes.ratio_ppm(), 861_111);

        // Excused minutes are not missing, and count neither way.
        let minutes = Minutes::of(&view(true, 1440, seen), range(600, 700), later);
        assert_eq!(runs(minutes.missing())[0].from, "11:40");
        assert_eq!(minutes.ratio_ppm(), 1240 * 1_000_000 / 1340);
        let minutes = Minutes::of(&view(true, 1440, seen), range(600, 800), later);
        assert_eq!((runs(minutes.missing()).len(), minutes.ratio_ppm()), (0, MILLION));
    }

    #[test]
    fn what_is_still_to_come_is_not_missing() {
        // First leased at 01:00; now it is 02:00:30, and the backend counts 61 minutes.
        let minutes = Minutes::of(&view(false, 61, range(60, 110)), DayBitmap::EMPTY, at(120));
        assert_eq!(minutes.expected, range(60, 120));
        assert_eq!(
            runs(minutes.missing())[0],
            MinuteRange { from: "01:50".into(), to: "02:00".into(), minutes: 10 }
        );
        // The running minute is not missing, and is up once it is.
        let full = Minutes::of(&view(false, 61, range(60, 121)), DayBitmap::EMPTY, at(120));
        assert_eq!((runs(full.missing()).len(), full.sign(120)), (0, '#'));
        assert_eq!((full.expected.count(), full.seen.count()), (61, 61));
        // Yesterday, not closed yet: all of it has passed.
        let late = Minutes::of(&view(false, 1440, range(0, 1430)), DayBitmap::EMPTY, at(1441));
        assert_eq!(late.missing(), range(1430, 1440));
    }

    #[test]
    fn the_map_has_a_line_an_hour() {
        let seen = range(90, 150);
        let minutes = Minutes::of(&view(false, 121, seen), range(170, 175), at(180));
        let uptime = Uptime::new(&"A1".parse().unwrap(), &view(false, 121, seen), &minutes);
        insta::assert_snapshot!(uptime.to_string());
    }
}
