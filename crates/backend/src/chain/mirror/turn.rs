//! Whose turn it is: which sources are read next, and of which blocks.

use std::collections::BTreeSet;

use nodesys_core::time::Timestamp;
use nodesys_core::{Address, B256};

use crate::db::mirror_source::{Kind, SourceRow};

/// Blocks per transaction.
pub(super) const PAGE: u64 = 2000;
/// Pages that one run reads of sources that are behind the furthest: a new collection is older than its
/// listing, and nobody waits for it.
const CATCH_UP: usize = 50;

/// Sources at the same place, and the page that they are read of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) sources: Vec<SourceRow>,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// One run of the mirror.
#[derive(Debug)]
pub(super) struct Run {
    final_block: u64,
    catch_up: usize,
    /// Sources set aside that were tried again in this run.
    tried: BTreeSet<(Kind, Address)>,
    /// Blocks known to be on the chain.
    there: BTreeSet<(u64, B256)>,
}

impl Run {
    pub(super) const fn new(final_block: u64) -> Self {
        Self { final_block, catch_up: CATCH_UP, tried: BTreeSet::new(), there: BTreeSet::new() }
    }

    /// Whether a block was found on the chain in this run.
    pub(super) fn passed(&self, block: (u64, B256)) -> bool {
        self.there.contains(&block)
    }

    pub(super) fn has_passed(&mut self, block: (u64, B256)) {
        self.there.insert(block);
    }

    /// The furthest sources first, so that whoever is behind holds up nobody; then those that are behind,
    /// up to the place of the next ones, with whom they go on; then each one set aside whose time has come,
    /// alone.
    pub(super) fn next(&mut self, sources: &[SourceRow], now: Timestamp) -> Option<Turn> {
        let followed = || sources.iter().filter(|source| source.set_aside.is_none());
        let furthest = followed().map(SourceRow::next_block).max();
        let behind = followed().map(SourceRow::next_block).filter(|next| *next <= self.final_block);
        if let Some(from) = behind.max() {
            if furthest != Some(from) {
                if self.catch_up == 0 {
                    return self.retry(sources, now);
                }
                self.catch_up -= 1;
            }
            let next_place =
                followed().map(SourceRow::next_block).filter(|next| *next > from).min();
            let to = self.end_of_page(from).min(next_place.map_or(u64::MAX, |next| next - 1));
            let here = followed().filter(|source| source.next_block() == from);
            return Some(Turn { sources: here.cloned().collect(), from, to });
        }
        self.retry(sources, now)
    }

    fn retry(&mut self, sources: &[SourceRow], now: Timestamp) -> Option<Turn> {
        let due = sources.iter().find(|source| {
            source.set_aside.as_ref().is_some_and(|aside| aside.next_try <= now)
                && source.next_block() <= self.final_block
                && !self.tried.contains(&(source.kind, source.address))
        })?;
        self.tried.insert((due.kind, due.address));
        let from = due.next_block();
        Some(Turn { sources: vec![due.clone()], from, to: self.end_of_page(from) })
    }

    fn end_of_page(&self, from: u64) -> u64 {
        self.final_block.min(from.saturating_add(PAGE - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::mirror_source::SetAside;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn source(number: u8, cursor: Option<u64>) -> SourceRow {
        SourceRow {
            kind: Kind::Collection,
            address: Address::repeat_byte(number),
            first_block: 10,
            cursor: cursor.map(|block| (block, B256::ZERO)),
            failures: 0,
            set_aside: None,
        }
    }

    fn aside(number: u8, cursor: u64, next_try: Timestamp) -> SourceRow {
        let set_aside = Some(SetAside { since: NOW, next_try });
        SourceRow { failures: 1, set_aside, ..source(number, Some(cursor)) }
    }

    /// Turns until none is left, each with the sources' numbers.
    fn turns(run: &mut Run, mut sources: Vec<SourceRow>) -> Vec<(Vec<u8>, u64, u64)> {
        let mut turns = Vec::new();
        while let Some(turn) = run.next(&sources, NOW) {
            for source in &mut sources {
                if turn.sources.contains(source) {
                    (source.cursor, source.set_aside) = (Some((turn.to, B256::ZERO)), None);
                }
            }
            let who = turn.sources.iter().map(|source| source.address[0]).collect();
            turns.push((who, turn.from, turn.to));
        }
        turns
    }

    #[test]
    fn those_behind_catch_up_and_go_on_with_the_others() {
        let sources = vec![source(1, Some(4999)), source(2, Some(4999)), source(3, None)];
        assert_eq!(
            turns(&mut Run::new(5500), sources),
            [
                (vec![1, 2], 5000, 5500),
                (vec![3], 10, 2009),
                (vec![3], 2010, 4009),
                (vec![3], 4010, 5500)
            ]
        );
    }

    #[test]
    fn two_that_are_behind_meet() {
        let sources = vec![source(1, Some(9000)), source(2, Some(5000)), source(3, Some(4000))];
        assert_eq!(
            turns(&mut Run::new(9000), sources),
            [
                (vec![2], 5001, 7000),
                (vec![2], 7001, 9000),
                (vec![3], 4001, 6000),
                (vec![3], 6001, 8000),
                (vec![3], 8001, 9000)
            ]
        );
        let sources = vec![source(1, Some(9000)), source(2, Some(5000)), source(3, Some(5000))];
        assert_eq!(turns(&mut Run::new(9000), sources).len(), 2);
    }

    #[test]
    fn one_set_aside_waits_for_its_time_and_is_tried_alone() {
        let later = NOW.plus_millis(1);
        let sources = vec![source(1, Some(100)), aside(2, 50, NOW), aside(3, 50, later)];
        assert_eq!(turns(&mut Run::new(200), sources), [(vec![1], 101, 200), (vec![2], 51, 200)]);
        // It failed again: once in a run is enough.
        let mut run = Run::new(200);
        let sources = [source(1, Some(200)), aside(2, 50, NOW)];
        assert!(run.next(&sources, NOW).is_some());
        assert!(run.next(&sources, NOW).is_none());
    }

    #[test]
    fn who_is_far_behind_does_not_keep_the_run() {
        let sources = vec![source(1, Some(10_000_000)), source(2, None)];
        assert_eq!(turns(&mut Run::new(10_000_001), sources).len(), CATCH_UP + 1);
    }
}
