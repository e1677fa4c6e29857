//! Points: a project's rule turns a day's uptime, and the tasks accepted in it, into integer
//! points, license by license.
//!
//! Where a rule counts tasks, uptime alone does not decide: the owner says the points, and
//! [`Rule::check_points`] holds them to what the rule can give. How many tasks were counted follows
//! from the points ([`Rule::tasks_in`]), so `points.csv` needs no file of counts beside it.
//!
//! # Examples
//!
//! ```
//! use nodesys_core::bitmap::DayBitmap;
//! use nodesys_core::files::UptimeRow;
//! use nodesys_core::ids::{LicenseIndex, Points};
//! use nodesys_core::points::Rule;
//! use nodesys_core::{Address, U256};
//!
//! let bitmap = DayBitmap::from_minute_on(360);
//! let row = UptimeRow {
//!     license: LicenseIndex(0),
//!     collection: Address::repeat_byte(0xcc),
//!     token_id: U256::from(1),
//!     minutes: bitmap.count(),
//!     expected: 1440,
//!     bitmap,
//! };
//! let points = |points| Points::checked_new(points).expect("below 2^63");
//! let rule = Rule::Uptime { rate: points(100), minimum_uptime_ppm: 700_000 };
//! rule.check()?;
//! assert_eq!(rule.points_of(&row, DayBitmap::EMPTY), Some(points(75)), "up for 18 of 24 hours");
//!
//! let strict = Rule::Uptime { rate: points(100), minimum_uptime_ppm: 800_000 };
//! assert_eq!(strict.points_of(&row, DayBitmap::EMPTY), Some(Points::ZERO));
//! let excused = !DayBitmap::from_minute_on(360);
//! assert_eq!(strict.points_of(&row, excused), Some(points(75)), "the backend's fault is not its");
//! # Ok::<(), nodesys_core::points::BadRule>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::bitmap::DayBitmap;
use crate::files::{PointsRow, UptimeRow};
use crate::ids::Points;
use crate::uptime::{MILLION, ratio_ppm};

/// A project's rule and its parameters, as they stand in `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// `seconds up / 3600 * rate / 24`, zero below the minimum uptime.
    Uptime {
        /// Points of a license that is up all day.
        #[schema(value_type = String)]
        rate: Points,
        /// Least ratio of uptime that earns, in parts per million.
        minimum_uptime_ppm: u32,
    },
    /// `per_task` for each task accepted in the day, zero below the minimum uptime.
    Tasks {
        /// Points of one accepted task; at least 1.
        #[schema(value_type = String)]
        per_task: Points,
        /// Most tasks of one license and day that count: what bounds the owner's word.
        max_tasks: u32,
        /// Least ratio of uptime that earns, in parts per million.
        minimum_uptime_ppm: u32,
    },
    /// The sum of the two above, zero below the minimum uptime.
    UptimeTasks {
        /// Points of a license that is up all day.
        #[schema(value_type = String)]
        rate: Points,
        /// Points of one accepted task; at least 1.
        #[schema(value_type = String)]
        per_task: Points,
        /// Most tasks of one license and day that count: what bounds the owner's word.
        max_tasks: u32,
        /// Least ratio of uptime that earns, in parts per million.
        minimum_uptime_ppm: u32,
    },
}

impl Default for Rule {
    /// One point a minute, no threshold.
    fn default() -> Self {
        Self::Uptime {
            rate: Points::checked_new(1440).expect("1440 is below 2^63"),
            minimum_uptime_ppm: 0,
        }
    }
}

/// A rule's parameter out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// More than the whole day.
    #[error("minimum_uptime_ppm is {0}, but one million parts per million are the whole day")]
    MinimumUptime(u32),
    /// Tasks that are worth nothing could not be counted back from the points.
    #[error("per_task is 0: use the rule `uptime` where tasks earn nothing")]
    PerTask,
    /// The largest points of a license would leave the range.
    #[error(
        "{uptime} points of uptime and {max_tasks} tasks of {per_task} leave the range of points (2^63)"
    )]
    Range {
        /// Points of a full day.
        uptime: Points,
        /// Points of a task.
        per_task: Points,
        /// Most tasks.
        max_tasks: u32,
    },
}

/// Points that the rule cannot give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPoints {
    /// Uptime decides, and gives others.
    #[error("the rule gives {0}")]
    Computed(Points),
    /// No number of tasks from 0 to the most gives them.
    #[error(
        "the rule gives {uptime} for uptime and {per_task} for each of at most {max_tasks} tasks"
    )]
    NoCount {
        /// The part for uptime.
        uptime: Points,
        /// Points of a task.
        per_task: Points,
        /// Most tasks.
        max_tasks: u32,
    },
}

/// A rule's parts, whichever rule it is.
#[derive(Clone, Copy)]
struct Parts {
    rate: Points,
    minimum_uptime_ppm: u32,
    tasks: Option<TaskPart>,
}

#[derive(Clone, Copy)]
struct TaskPart {
    per_task: Points,
    max_tasks: u32,
}

impl TaskPart {
    /// The points of this many tasks, of which at most `max_tasks` count.
    fn points(self, tasks: u64) -> u128 {
        u128::from(self.per_task.get()) * u128::from(tasks.min(u64::from(self.max_tasks)))
    }
}

impl Rule {
    /// Checks the parameters.
    ///
    /// # Errors
    ///
    /// [`BadRule`] names the parameter that is out of range.
    pub fn check(&self) -> Result<(), BadRule> {
        let Parts { rate, minimum_uptime_ppm, tasks } = self.parts();
        if minimum_uptime_ppm > MILLION {
            return Err(BadRule::MinimumUptime(minimum_uptime_ppm));
        }
        let Some(part @ TaskPart { per_task, max_tasks }) = tasks else { return Ok(()) };
        // A count is found again by dividing through it.
        if per_task == Points::ZERO {
            return Err(BadRule::PerTask);
        }
        match sum(rate, part.points(u64::from(max_tasks))) {
            Some(_) => Ok(()),
            None => Err(BadRule::Range { uptime: rate, per_task, max_tasks }),
        }
    }

    /// Whether tasks earn points, so that uptime alone does not decide.
    pub fn counts_tasks(&self) -> bool {
        self.parts().tasks.is_some()
    }

    /// The points of one license, or `None` where the rule needs more than uptime to tell.
    pub fn points_of(&self, row: &UptimeRow, excused: DayBitmap) -> Option<Points> {
        let parts = self.parts();
        match parts.uptime_points(row, excused) {
            None => Some(Points::ZERO),
            Some(points) if parts.tasks.is_none() => Some(points),
            Some(_) => None,
        }
    }

    /// The points of one license with this many tasks accepted in the day; `None` only with
    /// parameters that [`Self::check`] refuses.
    pub fn points_with_tasks(
        &self,
        row: &UptimeRow,
        excused: DayBitmap,
        tasks: u64,
    ) -> Option<Points> {
        let parts = self.parts();
        match parts.uptime_points(row, excused) {
            None => Some(Points::ZERO),
            Some(uptime) => sum(uptime, parts.tasks.map_or(0, |part| part.points(tasks))),
        }
    }

    /// How many tasks the points of one license count; `None` where the rule cannot give them.
    pub fn tasks_in(&self, row: &UptimeRow, excused: DayBitmap, points: Points) -> Option<u64> {
        let parts = self.parts();
        let uptime = parts.uptime_points(row, excused).unwrap_or(Points::ZERO);
        let above = points.checked_sub(uptime)?.get();
        // Below the minimum too: there no points are the right ones, and they count no task.
        if above == 0 {
            return Some(0);
        }
        let TaskPart { per_task, max_tasks } = parts.tasks?;
        let below_minimum = parts.uptime_points(row, excused).is_none();
        // A rule that was not checked may have 0 here; it must give an answer, not a panic.
        let whole = above.is_multiple_of(per_task.get().max(1));
        let tasks = above / per_task.get().max(1);
        (!below_minimum && whole && tasks <= u64::from(max_tasks)).then_some(tasks)
    }

    /// Succeeds when the rule can give these points: the very ones where uptime decides, else the
    /// part for uptime and a whole number of tasks, at most `max_tasks`.
    ///
    /// # Errors
    ///
    /// [`BadPoints`] says what the rule gives instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use nodesys_core::bitmap::DayBitmap;
    /// use nodesys_core::files::UptimeRow;
    /// use nodesys_core::ids::{LicenseIndex, Points};
    /// use nodesys_core::points::Rule;
    /// use nodesys_core::{Address, U256};
    ///
    /// let row = UptimeRow {
    ///     license: LicenseIndex(0),
    ///     collection: Address::repeat_byte(0xcc),
    ///     token_id: U256::from(1),
    ///     minutes: 1440,
    ///     expected: 1440,
    ///     bitmap: DayBitmap::FULL,
    /// };
    /// let points = |points| Points::checked_new(points).expect("below 2^63");
    /// let rule = Rule::Tasks { per_task: points(50), max_tasks: 3, minimum_uptime_ppm: 0 };
    /// assert_eq!(rule.points_of(&row, DayBitmap::EMPTY), None, "uptime alone does not decide");
    /// assert!(rule.check_points(&row, DayBitmap::EMPTY, points(100)).is_ok());
    /// assert!(rule.check_points(&row, DayBitmap::EMPTY, points(101)).is_err(), "2.02 tasks");
    /// assert!(rule.check_points(&row, DayBitmap::EMPTY, points(200)).is_err(), "more than max_tasks");
    /// ```
    pub fn check_points(
        &self,
        row: &UptimeRow,
        excused: DayBitmap,
        points: Points,
    ) -> Result<(), BadPoints> {
        if let Some(computed) = self.points_of(row, excused) {
            return if computed == points { Ok(()) } else { Err(BadPoints::Computed(computed)) };
        }
        let parts = self.parts();
        match (self.tasks_in(row, excused, points), parts.tasks) {
            (None, Some(TaskPart { per_task, max_tasks })) => {
                let uptime = parts.uptime_points(row, excused).unwrap_or(Points::ZERO);
                Err(BadPoints::NoCount { uptime, per_task, max_tasks })
            }
            _ => Ok(()),
        }
    }

    /// The day's `points.csv` rows by this rule, in license order; `None` where uptime alone does
    /// not decide.
    pub fn points(&self, uptime: &[UptimeRow], excused: DayBitmap) -> Option<Vec<PointsRow>> {
        uptime
            .iter()
            .map(|row| {
                let points = self.points_of(row, excused)?;
                Some(PointsRow { license: row.license, points })
            })
            .collect()
    }

    fn parts(&self) -> Parts {
        match *self {
            Self::Uptime { rate, minimum_uptime_ppm } => {
                Parts { rate, minimum_uptime_ppm, tasks: None }
            }
            Self::Tasks { per_task, max_tasks, minimum_uptime_ppm } => Parts {
                rate: Points::ZERO,
                minimum_uptime_ppm,
                tasks: Some(TaskPart { per_task, max_tasks }),
            },
            Self::UptimeTasks { rate, per_task, max_tasks, minimum_uptime_ppm } => {
                Parts { rate, minimum_uptime_ppm, tasks: Some(TaskPart { per_task, max_tasks }) }
            }
        }
    }
}

impl Parts {
    /// The points for uptime; `None` below the minimum, where nothing earns.
    fn uptime_points(&self, row: &UptimeRow, excused: DayBitmap) -> Option<Points> {
        if ratio_ppm(row, excused) < self.minimum_uptime_ppm {
            return None;
        }
        // minutes * 60 / 3600 * rate / 24 = minutes * rate / 1440, floored once. With at most 1440
        // minutes the quotient is at most `rate`, so it is in range.
        let points = u128::from(row.minutes) * u128::from(self.rate.get()) / 1440;
        Some(u64::try_from(points).ok().and_then(Points::checked_new).unwrap_or(Points::MAX))
    }
}

fn sum(uptime: Points, tasks: u128) -> Option<Points> {
    // In 128 bits: unchecked parameters give up to 2^63 points for each of 2^32 tasks.
    let sum = u128::from(uptime.get()).checked_add(tasks)?;
    u64::try_from(sum).ok().and_then(Points::checked_new)
}

#[cfg(test)]
mod tests;
