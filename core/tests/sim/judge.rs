//! What must hold for every conversation.

use crate::azure::Attempt;
use crate::conversation::{Account, Conversation, POLICY};
use crate::driver::{Luck, PAGE};
use crate::script::{Kind, Request};
use crate::sender::Answer;

/// Slots for events in an exchange. Once all are taken, another event would be lost.
const EVENT_PLACES: usize = 8;

/// How often one request may go to Azure: once, again after a stale connection, again after a 401.
const MOST_ATTEMPTS: usize = 3;

/// Panics when `account` breaks a guarantee.
pub(crate) fn judge(conversation: &Conversation, account: &Account) {
    let requests = &conversation.script.requests;
    assert!(account.log.most_events < EVENT_PLACES, "{} events at once", account.log.most_events);
    assert!(account.log.most_stored <= POLICY.max_body_bytes, "{} bytes stored", account.log.most_stored);
    judge_time(account, requests.len());
    judge_attempts(requests, &account.attempts);
    judge_answers(requests, account);
    if conversation.script.lost.is_none() && conversation.luck != Luck::Bad {
        judge_completeness(requests, &account.answers);
    }
    if conversation.luck == Luck::Good {
        judge_calm(requests, account);
    }
}

/// Each phase of each request stays within its time limit.
fn judge_time(account: &Account, requests: usize) {
    let of = POLICY.timeouts;
    let each = of.idle + of.head + of.admission + of.body + of.upstream + of.answer;
    let most = each.as_millis() * (requests as u128 + 1) + of.drain.as_millis();
    assert!(u128::from(account.took) <= most, "took {} ms", account.took);
}

fn frame(request: &Request) -> Option<&[u8]> {
    if let Kind::Good { frame } = &request.kind { Some(frame) } else { None }
}

/// Azure gets only good frames, unchanged, in order, and no more often than retries allow.
fn judge_attempts(requests: &[Request], attempts: &[Attempt]) {
    let mut latest = 0;
    let mut times = 0;
    for attempt in attempts.iter().filter(|attempt| !attempt.head.is_empty()) {
        judge_head(&attempt.head);
        let is_of = |request: &Request| {
            frame(request).is_some_and(|frame| frame.len() == attempt.length && frame.starts_with(&attempt.body))
        };
        let number = requests.iter().enumerate().skip(latest).find(|(_, request)| is_of(request)).map(|(i, _)| i);
        let number = number.unwrap_or_else(|| panic!("Azure got what nobody sent, or too late: {attempt:?}"));
        times = if number == latest { times + 1 } else { 1 };
        latest = number;
        // Two truncated frames may look alike.
        assert!(times <= MOST_ATTEMPTS * requests.len(), "request {number} went out {times} times");
    }
    for frame in requests.iter().filter_map(frame) {
        let whole = attempts.iter().filter(|attempt| attempt.is_whole() && attempt.body == frame).count();
        assert!(whole <= MOST_ATTEMPTS, "a frame went out {whole} times");
    }
}

fn judge_head(head: &str) {
    for name in ["Host", "User-Agent", "Content-Length", "Content-Type", "Content-Encoding", "Via", "Authorization"] {
        assert_eq!(head.matches(&format!("\r\n{name}: ")).count(), 1, "{name} in {head}");
    }
    assert!(!head.contains("of-the-sender") && head.contains("Authorization: Bearer secret-"), "{head}");
}

/// A response never claims more than Azure did.
fn judge_answers(requests: &[Request], account: &Account) {
    for (number, (request, answer)) in requests.iter().zip(&account.answers).enumerate() {
        let Answer { status, head, body, .. } = answer;
        assert!(!head.contains("of-azure") && !head.contains("secret"), "{head}");
        assert!(body.len() <= 1024 || request.kind == Kind::Page, "an answer of {} bytes", body.len());
        match &request.kind {
            Kind::Page if *status == 200 => assert!(request.is_head || body == PAGE, "a page that nobody wrote"),
            Kind::Page => assert_eq!(*status, 503, "for a page"),
            Kind::Local { statuses } => {
                assert!(statuses.contains(status) || *status == 503, "{status} for request {number}, {statuses:?}");
            }
            Kind::Good { .. } if *status >= 500 => {}
            Kind::Good { frame } => {
                let said = |attempt: &&Attempt| attempt.answered == Some(*status) && frame.starts_with(&attempt.body);
                let attempt = account.attempts.iter().find(said);
                let attempt =
                    attempt.unwrap_or_else(|| panic!("{status} for request {number}, which Azure did not say"));
                let is_verdict = matches!(status, 200..=299 | 400 | 409);
                assert!(is_verdict, "{status} for request {number} makes the sender drop good samples");
                let acknowledged = account.attempts.iter().filter(said).any(|attempt| attempt.body == *frame);
                assert!(acknowledged || *status >= 300, "{status} for what Azure did not get: {attempt:?}");
            }
        }
    }
    let told: Vec<u16> = account.log.outcomes.iter().map(|outcome| outcome.status).collect();
    let received: Vec<u16> = account.answers.iter().map(|answer| answer.status).collect();
    assert!(told.starts_with(&received), "the sender was told {received:?} and the log {told:?}");
}

/// A sender that stays gets a response to each request, up to the one that announces the end of the connection.
fn judge_completeness(requests: &[Request], answers: &[Answer]) {
    let end = answers.iter().position(|answer| answer.closes).map(|at| at + 1);
    assert!(end.is_none_or(|end| end == answers.len()), "answers after the end was announced");
    assert_eq!(end.unwrap_or(requests.len()), answers.len(), "answers to {} requests", requests.len());
    for (request, answer) in requests.iter().zip(answers) {
        assert!(!request.last || answer.closes, "the end is not announced in {}", answer.head);
    }
}

/// When nothing goes wrong, the sender gets Azure's verdict, or that on its own fault.
fn judge_calm(requests: &[Request], account: &Account) {
    for (request, answer) in requests.iter().zip(&account.answers) {
        match &request.kind {
            Kind::Page => assert_eq!(answer.status, 200, "{}", answer.head),
            Kind::Local { statuses } => assert!(statuses.contains(&answer.status), "{}", answer.head),
            Kind::Good { frame } => {
                let last = account.attempts.iter().rfind(|attempt| attempt.body == *frame).expect("an attempt");
                let said = last.answered.expect("an answer");
                let told = match said {
                    401 | 403 | 404 | 429 => 503,
                    307 => 502,
                    _ => said,
                };
                assert_eq!(answer.status, told, "Azure said {said}");
            }
        }
    }
}
