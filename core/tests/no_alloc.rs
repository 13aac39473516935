//! A check allocates nothing, whatever its verdict.

use core::hint::black_box;

use remora_core::remote_write::{Check, Level, Verdict, Version};
use remora_core::snappy::Window;

const BODY: &[u8] = include_bytes!("vectors/prometheus-2.42-2000-samples.snappy");

fn check(body: &[u8], version: Version, window: Window<'_>) -> Verdict {
    let mut check = Check::new(version, Level::Full, window, 32 << 20);
    body.chunks(16 * 1024).for_each(|segment| check.feed(segment));
    check.finish()
}

#[test]
fn a_check_allocates_nothing() {
    let mut bytes = vec![0; 1 << 16];
    let mut window = Window::new(&mut bytes).unwrap();
    let allocations = allocation_counter::measure(|| {
        assert!(matches!(check(BODY, Version::V1, window.lend()), Verdict::Good(_)));
        assert!(matches!(check(&BODY[..50_000], Version::V1, window.lend()), Verdict::Corrupt(_)));
        assert!(matches!(check(BODY, Version::V2, window.lend()), Verdict::Good(_)));
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(black_box(Box::new(BODY.len())))).count_total, 1);
}
