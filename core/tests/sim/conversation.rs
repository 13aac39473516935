//! One conversation from beginning to end: its plan, its run, and its outcome.

use core::time::Duration;

use remora_core::forward::{Exchange, Gateway, Peer, Policy, Timeouts};
use remora_core::remote_write::Level;
use remora_core::time::Instant;

use crate::azure::{Attempt, Azure, Plan};
use crate::driver::{Driver, Log, Luck, Manner};
use crate::frame;
use crate::link::Weather;
use crate::random::Random;
use crate::script::{Request, Script};
use crate::sender::{Answer, Sender};

pub(crate) const POLICY: Policy = Policy {
    max_body_bytes: 32 * 1024,
    max_decoded_bytes: 1 << 20,
    check: Some(Level::Full),
    refusal_hold: Duration::from_secs(24 * 3600),
    pass_rate_limit: false,
    timeouts: Timeouts {
        idle: Duration::from_secs(60),
        head: Duration::from_secs(10),
        admission: Duration::from_secs(15),
        body_start: Duration::from_secs(5),
        body: Duration::from_secs(30),
        upstream: Duration::from_secs(25),
        answer: Duration::from_secs(10),
        drain: Duration::from_secs(5),
    },
};

const INBOX: usize = 4096;
const OUTBOX: usize = 2048;
const RESPONSE: usize = 4096;

/// Turns after which a conversation is considered to be looping.
const MOST_TURNS: usize = 200_000;

/// The plan of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) script: Script,
    pub(crate) plans: Vec<Plan>,
    pub(crate) manner: Manner,
    pub(crate) leaves: bool,
    pub(crate) luck: Luck,
    sender_weather: Weather,
    azure_weather: Weather,
    seed: u64,
}

/// The outcome of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) answers: Vec<Answer>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) log: Log,
    /// Virtual milliseconds that it took.
    pub(crate) took: u64,
}

impl Conversation {
    pub(crate) fn random(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let luck = random.pick(&[Luck::Good, Luck::Mixed, Luck::Bad]);
        let mut script = Script::random(random, POLICY.max_body_bytes);
        if luck == Luck::Good {
            script.lost = None;
        }
        let bytes = script.len();
        Self {
            plans: (0..10).map(|_| Plan::random(random, luck == Luck::Good)).collect(),
            manner: Manner { eager: random.chance(50), shuffles: random.chance(50), stubborn: random.chance(50) },
            leaves: random.chance(80),
            luck,
            sender_weather: Weather::random(random, bytes),
            azure_weather: Weather::random(random, bytes),
            seed: random.next(),
            script,
        }
    }

    /// Two writes with a length, then one in chunks, on fast and reliable links.
    pub(crate) fn plain(random: &mut Random) -> Self {
        let weather = Weather { piece: 300, delay: 1, capacity: 16 * 1024 };
        let mut requests = Vec::new();
        while requests.len() < 3 {
            let second = requests.len() == 1;
            let request = Request::write(random, frame::good(requests.len(), 40, second), media(second), None);
            let chunked = request.head.windows(7).any(|seven| seven == b"chunked");
            if !request.last && chunked == (requests.len() == 2) {
                requests.push(request);
            }
        }
        Self {
            script: Script { requests, lost: None },
            plans: [204, 200, 204].map(Plan::plain).to_vec(),
            manner: Manner { eager: false, shuffles: false, stubborn: true },
            leaves: true,
            luck: Luck::Mixed,
            sender_weather: weather,
            azure_weather: weather,
            seed: 1,
        }
    }
}

const fn media(second: bool) -> &'static str {
    if second { "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n" } else { "" }
}

/// Runs a conversation to its end.
pub(crate) fn run(conversation: &Conversation) -> Account {
    let random = &mut Random::new(conversation.seed);
    let gateway = Gateway::new(Instant::ZERO, POLICY);
    let (mut inbox, mut outbox, mut response) = ([0; INBOX], [0; OUTBOX], [0; RESPONSE]);
    let exchange = Exchange::new(Instant::ZERO, &gateway, Peer::Loopback, &mut inbox, &mut outbox);
    let mut driver = Driver::new(exchange, vec![&mut response[..]], (conversation.manner, conversation.luck), random);
    let mut sender = Sender::new(&conversation.script, conversation.sender_weather, conversation.leaves, random);
    let mut azure = Azure::new(&conversation.plans, conversation.azure_weather, random);

    let took = run_to_end(&mut driver, &mut sender, &mut azure);
    driver.conclude(took, &mut sender, &mut azure);
    settle(took, &mut sender, &mut azure);
    assert_eq!(driver.spare.iter().map(|buffer| buffer.len()).collect::<Vec<_>>(), [RESPONSE], "response buffers");
    let (inbox, outbox) = driver.exchange.into_buffers();
    assert_eq!((inbox.len(), outbox.len()), (INBOX, OUTBOX), "buffers of the connection");
    Account { answers: sender.answers, attempts: azure.attempts, log: driver.log, took }
}

/// Lets time pass until the exchange is over; returns when that was.
fn run_to_end(driver: &mut Driver<'_>, sender: &mut Sender, azure: &mut Azure) -> u64 {
    let mut now = 0;
    for _ in 0..MOST_TURNS {
        let moved = sender.turn(now) | driver.turn(now, sender, azure) | azure.turn(now);
        if driver.exchange.is_done() {
            return now;
        }
        if !moved {
            let deadline = driver.exchange.deadline().as_millis();
            let next = [sender.next(now), azure.next(now), driver.next(now)].into_iter().flatten().min();
            let next = next.unwrap_or(u64::MAX).min(deadline);
            assert!(next < u64::MAX, "nothing will ever happen: {:?}", driver.exchange);
            assert!(next > now, "the deadline of {:?} has passed without effect", driver.exchange);
            now = next;
        }
    }
    panic!("no end after {MOST_TURNS} turns: {:?}", driver.exchange);
}

/// Delivers what is still in transit when the exchange is over.
fn settle(mut now: u64, sender: &mut Sender, azure: &mut Azure) {
    while sender.turn(now) | azure.turn(now) {}
    while let Some(next) = [sender.next(now), azure.next(now)].into_iter().flatten().min() {
        now = next;
        while sender.turn(now) | azure.turn(now) {}
    }
}
