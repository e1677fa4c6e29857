use super::*;
use crate::ids::LicenseIndex;
use alloy_primitives::{Address, U256};
use proptest::prelude::*;

fn row(minutes: u16) -> UptimeRow {
    UptimeRow {
        license: LicenseIndex(0),
        collection: Address::ZERO,
        token_id: U256::ZERO,
        minutes,
        expected: 1440,
        bitmap: DayBitmap::from_minute_on(1440 - minutes),
    }
}

fn points(value: u64) -> Points {
    Points::checked_new(value).unwrap()
}

fn rule(rate: u64, minimum_uptime_ppm: u32) -> Rule {
    Rule::Uptime { rate: points(rate), minimum_uptime_ppm }
}

fn both(rate: u64, per_task: u64, max_tasks: u32, minimum_uptime_ppm: u32) -> Rule {
    let (rate, per_task) = (points(rate), points(per_task));
    Rule::UptimeTasks { rate, per_task, max_tasks, minimum_uptime_ppm }
}

#[test]
fn a_threshold_and_a_floor() {
    let points =
        |rule: &Rule, minutes| rule.points_of(&row(minutes), DayBitmap::EMPTY).unwrap().get();
    assert_eq!(points(&Rule::default(), 1040), 1040);
    assert_eq!(points(&rule(100, 0), 1439), 99);
    assert_eq!(points(&rule(100, 0), 1440), 100);
    assert_eq!(points(&rule(100, 800_000), 1151), 0);
    assert_eq!(points(&rule(100, 800_000), 1152), 80);
    assert!(rule(1, 1_000_001).check().is_err());
}

#[test]
fn the_rules_have_one_spelling_in_json() {
    for (json, rule) in [
        (r#"{"name":"uptime","rate":"5","minimum_uptime_ppm":0}"#, rule(5, 0)),
        (
            r#"{"name":"tasks","per_task":"7","max_tasks":9,"minimum_uptime_ppm":1}"#,
            Rule::Tasks { per_task: points(7), max_tasks: 9, minimum_uptime_ppm: 1 },
        ),
        (
            r#"{"name":"uptime_tasks","rate":"5","per_task":"7","max_tasks":9,"minimum_uptime_ppm":1}"#,
            both(5, 7, 9, 1),
        ),
    ] {
        assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        assert_eq!(serde_json::from_str::<Rule>(json).unwrap(), rule);
    }
}

#[test]
fn tasks_come_on_top_and_only_whole() {
    let rule = both(1440, 10, 3, 500_000);
    let (day, none) = (row(1000), DayBitmap::EMPTY);
    assert_eq!(rule.points_of(&day, none), None);
    assert_eq!(rule.points_of(&row(719), none), Some(Points::ZERO));
    let of = |tasks| rule.points_with_tasks(&day, none, tasks).unwrap().get();
    assert_eq!([0, 1, 3, 4, u64::MAX].map(of), [1000, 1010, 1030, 1030, 1030]);
    assert_eq!(rule.points_with_tasks(&row(719), none, 3), Some(Points::ZERO));

    for good in [1000, 1010, 1020, 1030] {
        assert_eq!(rule.check_points(&day, none, points(good)), Ok(()), "{good}");
    }
    for bad in [0, 990, 999, 1001, 1035, 1040, i64::MAX.unsigned_abs()] {
        let error = rule.check_points(&day, none, points(bad)).unwrap_err();
        let words = "1000 for uptime and 10 for each of at most 3 tasks";
        assert!(error.to_string().contains(words), "{bad}: {error}");
    }
    // Below the minimum nothing earns, tasks neither.
    assert_eq!(rule.check_points(&row(719), none, Points::ZERO), Ok(()));
    let error = rule.check_points(&row(719), none, points(10)).unwrap_err();
    assert_eq!(error, BadPoints::Computed(Points::ZERO));

    let tasks = Rule::Tasks { per_task: points(10), max_tasks: 3, minimum_uptime_ppm: 0 };
    assert_eq!(tasks.points_with_tasks(&row(0), none, 2), Some(points(20)));
    assert!(tasks.check_points(&row(1440), none, points(1440)).is_err());
}

#[test]
fn parameters_that_leave_the_range_are_refused() {
    let most = i64::MAX.unsigned_abs();
    assert_eq!(both(most, 1, 0, 0).check(), Ok(()));
    assert!(matches!(both(most, 1, 1, 0).check(), Err(BadRule::Range { .. })));
    assert!(matches!(both(0, most, 2, 0).check(), Err(BadRule::Range { .. })));
    assert_eq!(both(0, 0, 5, 0).check(), Err(BadRule::PerTask));
    assert_eq!(both(0, 1, 5, 1_000_001).check(), Err(BadRule::MinimumUptime(1_000_001)));
    assert_eq!(both(0, 1, 5, 1_000_000).check(), Ok(()));
    let tasks = Rule::Tasks { per_task: points(0), max_tasks: 1, minimum_uptime_ppm: 0 };
    assert_eq!(tasks.check(), Err(BadRule::PerTask));
    assert_eq!(
        [rule(0, 0), tasks, both(1, 1, 1, 0)].map(|rule| rule.counts_tasks()),
        [false, true, true]
    );
}

fn rules() -> impl Strategy<Value = Rule> {
    let parameters = (0..=1u64 << 40, 1..=1u64 << 20, 0..=1u32 << 20, 0..=MILLION);
    (parameters, 0..3).prop_map(|((rate, per_task, max_tasks, minimum), which)| match which {
        0 => rule(rate, minimum),
        1 => Rule::Tasks { per_task: points(per_task), max_tasks, minimum_uptime_ppm: minimum },
        _ => both(rate, per_task, max_tasks, minimum),
    })
}

proptest! {
    #[test]
    fn points_never_leave_the_range(rate in 0..=i64::MAX as u64, minutes in 0u16..=1440) {
        let points = rule(rate, 0).points_of(&row(minutes), DayBitmap::EMPTY);
        prop_assert!(points.is_some_and(|points| points.get() <= rate));
    }

    #[test]
    fn what_a_rule_gives_it_accepts_and_counts_back(
        rule in rules(), minutes in 0u16..=1440, tasks in any::<u32>(),
    ) {
        prop_assert_eq!(rule.check(), Ok(()));
        let (row, none) = (row(minutes), DayBitmap::EMPTY);
        let given = rule.points_with_tasks(&row, none, tasks.into()).unwrap();
        prop_assert_eq!(rule.check_points(&row, none, given), Ok(()));
        let counted = rule.tasks_in(&row, none, given).unwrap();
        prop_assert_eq!(rule.points_with_tasks(&row, none, counted), Some(given));
        prop_assert!(counted <= tasks.into());
        // More tasks never earn less, and none earn what uptime earns.
        let fewer = rule.points_with_tasks(&row, none, u64::from(tasks / 2)).unwrap();
        prop_assert!(fewer <= given);
        if let Some(decided) = rule.points_of(&row, none) {
            prop_assert_eq!(decided, given);
        }
    }

    #[test]
    fn accepted_points_are_exactly_those_of_some_count(
        rate in 0..5000u64, per_task in 1..20u64, max_tasks in 0..50u32, minimum in 0..=MILLION,
        minutes in 0u16..=1440, given in 0..8000u64,
    ) {
        let rule = both(rate, per_task, max_tasks, minimum);
        let (row, none) = (row(minutes), DayBitmap::EMPTY);
        let possible = (0..=u64::from(max_tasks))
            .any(|tasks| rule.points_with_tasks(&row, none, tasks) == Some(points(given)));
        prop_assert_eq!(rule.check_points(&row, none, points(given)).is_ok(), possible);
    }
}
