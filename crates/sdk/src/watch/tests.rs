//! How the verdicts of several RPCs are put together.

use super::*;
use Verdict::{CannotTell as C, DoesNotHold as N, Holds as H};

fn post(verdict: Verdict) -> Post {
    Post {
        project: Address::ZERO,
        day: UtcDay(1),
        commit_hash: B256::ZERO,
        transaction: None,
        posted_at_secs: 0,
        activates_at_secs: 10,
        verdict,
        vouched: false,
        findings: if verdict == N { vec!["a row".to_owned()] } else { Vec::new() },
        doubts: if verdict == C { vec!["a gap".to_owned()] } else { Vec::new() },
    }
}

#[test]
fn verdicts_are_put_together_by_who_stands_behind_them() {
    // A post that an RPC does not show has no word of it.
    for (sources, said, verdict, vouched) in [
        (1, &[H][..], H, true),
        (1, &[N], N, false),
        (1, &[C], C, false),
        (2, &[H, H], H, true),
        (2, &[N, N], N, true),
        (2, &[H, N], C, false),
        (2, &[H, C], H, false),
        (2, &[N, C], N, false),
        (2, &[H], H, false),
        (2, &[N], N, false),
        (2, &[C, C], C, false),
        (3, &[H, H, N], H, true),
        (3, &[N, N, H], N, true),
        (3, &[N, N], N, true),
        (3, &[N, H, C], C, false),
        (3, &[N, C, C], N, false),
        (3, &[H, C, C], H, false),
        (5, &[N, N, C, C, C], N, false),
    ] {
        let posts: Vec<Post> = said.iter().map(|verdict| post(*verdict)).collect();
        let combined = combine(&posts, sources).unwrap();
        assert_eq!((combined.verdict, combined.vouched), (verdict, vouched), "{sources} {said:?}");
        assert_eq!(combined.findings.is_empty(), verdict != N, "{said:?}");
        assert_eq!(combined.doubts.is_empty(), verdict != C, "{said:?}");
    }
    assert_eq!(combine(&[], 2), None);
}
