//! One test for each rule of the policy, under a clock that moves only when a test advances it.

use heapless::Vec;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// A lifecycle with its clock.
struct Bench {
    token: Lifecycle,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { token: Lifecycle::new(Policy::DEFAULT, 7), now: Instant::ZERO }
    }

    fn after(&mut self, pause: Duration) -> &mut Self {
        self.now = self.now.saturating_add(pause);
        self
    }

    fn handle(&mut self, event: Event) -> Action {
        self.token.handle(self.now, event)
    }

    fn fetch(&mut self) -> FetchId {
        match self.handle(Event::Wake) {
            Action::Fetch(id) => id,
            Action::WaitUntil(at) => panic!("a fetch was due at {:?}, not at {at:?}", self.now),
        }
    }

    fn wait(&mut self) -> Duration {
        match self.handle(Event::Wake) {
            Action::WaitUntil(at) => at.since(self.now),
            Action::Fetch(_) => panic!("no fetch was due at {:?}", self.now),
        }
    }

    fn grant(&mut self, lifetime: Duration) -> GrantId {
        let fetch = self.fetch();
        let _ = self.handle(Event::Granted { fetch, lifetime, refresh_in: None });
        self.token.usable(self.now).expect("a token that was just granted serves")
    }

    /// Lets an hour pass, wakes whenever due, and fails every fetch. Returns the times of the fetches.
    fn outage(&mut self, throttled: bool) -> Vec<Instant, 256> {
        let (end, mut fetches) = (self.now.saturating_add(HOUR), Vec::new());
        while self.now < end {
            match self.handle(Event::Wake) {
                Action::WaitUntil(at) => self.now = at,
                Action::Fetch(fetch) => {
                    fetches.push(self.now).expect("few fetches");
                    let _ = self.handle(Event::Failed { fetch, retry_after: None, throttled });
                }
            }
        }
        fetches
    }

    fn fail(&mut self) {
        let fetch = self.fetch();
        let _ = self.handle(Event::Failed { fetch, retry_after: None, throttled: false });
    }
}

fn about(got: Duration, want: Duration) -> bool {
    got <= want && got >= want.mul_f64(0.9)
}

/// The pause that a server asked for, and up to a tenth more.
fn at_least(got: Duration, want: Duration) -> bool {
    got >= want && got <= want.mul_f64(1.1)
}

#[test]
fn the_first_wake_fetches() {
    let mut bench = Bench::new();
    assert_eq!(bench.token.usable(bench.now), None);
    bench.fetch();
    assert!(bench.token.is_fetching());
}

#[test]
fn refreshes_at_half_of_the_life() {
    let mut bench = Bench::new();
    bench.grant(24 * HOUR);
    assert!(about(bench.wait(), 12 * HOUR));
}

#[test]
fn refreshes_at_refresh_in_where_given() {
    let mut bench = Bench::new();
    let fetch = bench.fetch();
    let _ = bench.handle(Event::Granted { fetch, lifetime: 24 * HOUR, refresh_in: Some(20 * HOUR) });
    assert!(about(bench.wait(), 20 * HOUR));
}

#[test]
fn a_refresh_in_beyond_the_life_is_ignored() {
    let mut bench = Bench::new();
    let fetch = bench.fetch();
    let _ = bench.handle(Event::Granted { fetch, lifetime: HOUR, refresh_in: Some(HOUR) });
    assert!(about(bench.wait(), HOUR / 2));
}

#[test]
fn a_refresh_in_that_has_come_already_makes_no_fetch_a_second() {
    let ms = Duration::from_millis;
    for (lifetime, refresh_in, want) in [
        (HOUR, ms(0), ms(30_000)),
        (HOUR, ms(2000), ms(30_000)),
        (ms(40_000), ms(0), ms(20_000)),
        (ms(4000), ms(1), ms(2000)),
    ] {
        let mut bench = Bench::new();
        for _ in 0..3 {
            let fetch = bench.fetch();
            let _ = bench.handle(Event::Granted { fetch, lifetime, refresh_in: Some(refresh_in) });
            let pause = bench.wait();
            assert!(about(pause, want), "{lifetime:?}, {refresh_in:?}: {pause:?}");
            bench.after(pause);
        }
    }
}

#[test]
fn jitter_spreads_seeds_over_all_of_the_tenth() {
    let mut quarters = [0; 4];
    for seed in 0..100_u32 {
        let mut bench =
            Bench { token: Lifecycle::new(Policy::DEFAULT, seed.wrapping_mul(0x9e37_79b9)), ..Bench::new() };
        bench.grant(24 * HOUR);
        let earlier = (12 * HOUR).saturating_sub(bench.wait());
        quarters[(earlier.as_secs() * 4 / (12 * 360)) as usize] += 1;
    }
    assert!(quarters.iter().all(|&seeds| seeds > 10), "{quarters:?}");
}

#[test]
fn one_fetch_is_in_flight_at_a_time() {
    let mut bench = Bench::new();
    bench.fetch();
    assert_eq!(bench.handle(Event::Wake), Action::WaitUntil(Instant::NEVER));
}

#[test]
fn an_answer_to_an_earlier_fetch_changes_nothing() {
    let mut bench = Bench::new();
    let first = bench.fetch();
    let _ = bench.handle(Event::Failed { fetch: first, retry_after: None, throttled: false });
    bench.after(HOUR);
    bench.fetch();
    let _ = bench.handle(Event::Granted { fetch: first, lifetime: HOUR, refresh_in: None });
    assert_eq!(bench.token.usable(bench.now), None);
    assert!(bench.token.is_fetching());
}

#[test]
fn the_old_token_serves_until_it_expires() {
    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    bench.after(HOUR / 2).fail();
    bench.after(Duration::from_millis(30 * 60 * 1000 - 1));
    assert_eq!(bench.token.usable(bench.now), Some(grant));
    bench.after(Duration::from_millis(1));
    assert_eq!(bench.token.usable(bench.now), None);
}

#[test]
fn thirty_seconds_lie_between_failed_refreshes() {
    let mut bench = Bench::new();
    bench.grant(HOUR);
    bench.after(HOUR / 2).fail();
    assert_eq!(bench.wait(), Duration::from_secs(30));
    bench.after(Duration::from_secs(30)).fail();
    assert_eq!(bench.wait(), Duration::from_secs(30));
}

#[test]
fn the_pause_never_blocks_a_token_that_has_expired() {
    let mut bench = Bench::new();
    bench.grant(Duration::from_secs(20));
    bench.after(Duration::from_secs(10)).fail();
    assert_eq!(bench.wait(), Duration::from_secs(10));
    bench.after(Duration::from_secs(10)).fetch();
}

#[test]
fn without_a_token_the_pause_doubles_to_thirty_seconds() {
    let mut bench = Bench::new();
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        bench.fail();
        let pause = bench.wait();
        assert!(about(pause, Duration::from_secs(seconds)), "{pause:?} is not about {seconds} s");
        bench.after(pause);
    }
}

#[test]
fn after_an_expiry_the_pause_starts_small_again() {
    let mut bench = Bench::new();
    bench.fail();
    bench.after(HOUR).grant(HOUR);
    bench.after(HOUR).fail();
    assert!(about(bench.wait(), Duration::from_secs(1)));
    let pause = bench.wait();
    bench.after(pause).fail();
    assert!(about(bench.wait(), Duration::from_secs(2)));
}

#[test]
fn retry_after_is_kept_to_even_when_the_token_expires() {
    let mut bench = Bench::new();
    bench.grant(Duration::from_secs(20));
    let fetch = bench.after(Duration::from_secs(10)).fetch();
    let _ = bench.handle(Event::Failed { fetch, retry_after: Some(Duration::from_secs(90)), throttled: false });
    assert!(at_least(bench.wait(), Duration::from_secs(90)));
}

#[test]
fn an_absurd_retry_after_is_cut() {
    let mut bench = Bench::new();
    bench.grant(24 * HOUR);
    let fetch = bench.after(12 * HOUR).fetch();
    let _ = bench.handle(Event::Failed { fetch, retry_after: Some(1000 * HOUR), throttled: false });
    assert!(at_least(bench.wait(), HOUR));
}

#[test]
fn a_server_keeps_nobody_without_a_token_until_samples_are_too_old() {
    let gap = Duration::from_secs(300);
    for throttled in [false, true] {
        let mut bench = Bench::new();
        let fetch = bench.fetch();
        let _ = bench.handle(Event::Failed { fetch, retry_after: Some(HOUR), throttled });
        assert!(at_least(bench.wait(), gap));

        let mut bench = Bench::new();
        bench.grant(HOUR / 2);
        let fetch = bench.after(HOUR / 4).fetch();
        let _ = bench.handle(Event::Failed { fetch, retry_after: Some(HOUR), throttled });
        assert!(at_least(bench.wait(), HOUR / 4 + gap), "the token serves meanwhile");
    }
}

#[test]
fn a_429_rests_at_least_a_minute() {
    for retry_after in [None, Some(Duration::from_secs(5))] {
        let mut bench = Bench::new();
        let fetch = bench.fetch();
        let _ = bench.handle(Event::Failed { fetch, retry_after, throttled: true });
        assert!(at_least(bench.wait(), Duration::from_secs(60)));
    }
}

#[test]
fn sidecars_that_were_throttled_together_come_back_one_by_one() {
    let mut pauses = Vec::<Duration, 8>::new();
    for seed in 0..8_u32 {
        let mut bench =
            Bench { token: Lifecycle::new(Policy::DEFAULT, seed.wrapping_mul(0x9e37_79b9)), ..Bench::new() };
        let fetch = bench.fetch();
        let _ = bench.handle(Event::Failed { fetch, retry_after: None, throttled: true });
        pauses.push(bench.wait()).unwrap();
    }
    assert!(pauses.iter().all(|&pause| at_least(pause, Duration::from_secs(60))), "{pauses:?}");
    pauses.sort_unstable();
    assert!(pauses.windows(2).all(|pair| pair[0] < pair[1]), "{pauses:?}");
}

#[test]
fn a_401_forces_one_refresh() {
    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    assert!(matches!(bench.handle(Event::Rejected { grant }), Action::Fetch(_)));
    assert_eq!(bench.token.usable(bench.now), Some(grant), "the old token serves meanwhile");
}

#[test]
fn a_401_forces_at_most_one_refresh_in_thirty_seconds() {
    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    let Action::Fetch(fetch) = bench.handle(Event::Rejected { grant }) else { panic!("a refresh was due") };
    let _ = bench.handle(Event::Granted { fetch, lifetime: HOUR, refresh_in: None });
    let grant = bench.token.usable(bench.now).unwrap();
    assert!(matches!(bench.after(Duration::from_secs(29)).handle(Event::Rejected { grant }), Action::WaitUntil(_)));
    assert!(matches!(bench.after(Duration::from_secs(1)).handle(Event::Rejected { grant }), Action::Fetch(_)));
}

#[test]
fn a_401_to_an_older_token_forces_nothing() {
    let mut bench = Bench::new();
    let old = bench.grant(HOUR);
    bench.after(HOUR / 2).grant(HOUR);
    assert!(matches!(bench.handle(Event::Rejected { grant: old }), Action::WaitUntil(_)));
}

#[test]
fn a_forced_refresh_ends_our_pause_but_not_the_servers() {
    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    bench.after(HOUR / 2).fail();
    assert!(matches!(bench.handle(Event::Rejected { grant }), Action::Fetch(_)));

    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    let fetch = bench.after(HOUR / 2).fetch();
    let _ = bench.handle(Event::Failed { fetch, retry_after: None, throttled: true });
    let Action::WaitUntil(later) = bench.handle(Event::Rejected { grant }) else {
        panic!("the server's pause was over")
    };
    assert!(at_least(later.since(bench.now), Duration::from_secs(60)));
}

#[test]
fn a_server_keeps_nobody_with_a_refused_token_until_samples_are_too_old() {
    let mut bench = Bench::new();
    let grant = bench.grant(24 * HOUR);
    let Action::Fetch(fetch) = bench.handle(Event::Rejected { grant }) else { panic!("a refresh was due") };
    let _ = bench.handle(Event::Failed { fetch, retry_after: Some(HOUR), throttled: true });
    assert!(at_least(bench.wait(), HOUR), "without a further 401, the token serves");
    let _ = bench.after(Duration::from_secs(60)).handle(Event::Rejected { grant });
    assert_eq!(bench.wait(), Duration::from_secs(300));
    for _ in 0..5 {
        let _ = bench.after(Duration::from_secs(50)).handle(Event::Rejected { grant });
    }
    assert_eq!(bench.wait(), Duration::from_secs(50), "further 401s put nothing off");
    bench.after(Duration::from_secs(50)).fetch();
}

#[test]
fn a_401_while_a_fetch_is_in_flight_forces_no_second_one() {
    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    let fetch = bench.after(HOUR / 2).fetch();
    assert_eq!(bench.handle(Event::Rejected { grant }), Action::WaitUntil(Instant::NEVER));
    let _ = bench.handle(Event::Granted { fetch, lifetime: HOUR, refresh_in: None });
    assert!(about(bench.wait(), HOUR / 2), "the token that came is not the one that was rejected");
}

#[test]
fn a_failed_forced_refresh_leaves_the_old_token_and_its_pauses() {
    let mut bench = Bench::new();
    let grant = bench.grant(HOUR);
    let Action::Fetch(fetch) = bench.handle(Event::Rejected { grant }) else { panic!("a refresh was due") };
    let _ = bench.handle(Event::Failed { fetch, retry_after: None, throttled: false });
    assert_eq!(bench.token.usable(bench.now), Some(grant));
    assert_eq!(bench.wait(), Duration::from_secs(30));
}

#[test]
fn a_429_may_ask_for_more_than_a_minute() {
    let mut bench = Bench::new();
    let fetch = bench.fetch();
    let retry_after = Some(Duration::from_secs(120));
    let _ = bench.handle(Event::Failed { fetch, retry_after, throttled: true });
    assert!(at_least(bench.wait(), Duration::from_secs(120)));
}

#[test]
fn an_hour_without_answers_costs_few_fetches_and_no_lasting_harm() {
    let mut bench = Bench::new();
    let fetches = bench.outage(false);
    assert!((100..=150).contains(&fetches.len()), "{} fetches", fetches.len());
    let pauses = fetches.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(pauses.clone().all(|pause| pause >= Duration::from_millis(900) && pause <= Duration::from_secs(30)));
    bench.grant(HOUR);
    assert!(about(bench.wait(), HOUR / 2), "after the outage all is as before");
}

#[test]
fn an_hour_of_throttling_costs_a_fetch_a_minute() {
    let fetches = Bench::new().outage(true).len();
    assert!((55..=60).contains(&fetches), "{fetches} fetches");
}

#[test]
fn an_outage_while_a_token_serves_is_asked_about_every_thirty_seconds_until_its_end() {
    let mut bench = Bench::new();
    let grant = bench.grant(24 * HOUR);
    let until = bench.wait();
    let fetches = bench.after(until).outage(false);
    assert_eq!(fetches.len(), 120);
    assert_eq!(bench.token.usable(bench.now), Some(grant));
}

#[test]
fn a_token_of_no_length_does_not_make_the_fetches_faster() {
    let mut bench = Bench::new();
    for _ in 0..5 {
        bench.grant(Duration::from_millis(1));
        assert_eq!(bench.wait(), Duration::from_secs(1));
        bench.after(Duration::from_secs(1));
    }
}

#[test]
fn every_event_has_one_action_and_time_may_stand_still() {
    let mut bench = Bench::new();
    let fetch = bench.fetch();
    for _ in 0..2 {
        // The second result of the same fetch is ignored.
        let _ = bench.handle(Event::Granted { fetch, lifetime: HOUR, refresh_in: None });
    }
    assert_eq!(bench.token.expires(), Some(Instant::ZERO.saturating_add(HOUR)));
    assert!(!bench.token.is_fetching());
}

#[test]
fn a_token_without_life_counts_as_a_failure() {
    // Time is counted in milliseconds.
    for lifetime in [Duration::ZERO, Duration::from_micros(999)] {
        let mut bench = Bench::new();
        let fetch = bench.fetch();
        let _ = bench.handle(Event::Granted { fetch, lifetime, refresh_in: None });
        assert_eq!((bench.token.usable(bench.now), bench.token.expires()), (None, None));
        assert!(about(bench.wait(), Duration::from_secs(1)));
    }
}
