//! Applies a fault to a request.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::CONTENT_LENGTH;
use smol::Timer;
use smol::future::pending;

use super::connection::{Asked, read};
use crate::cut::{Cut, End};
use crate::failures;
use crate::faults::{Aadsts, Action, Delay, Fail, Moment, Reset, Slow, Truncate};
use crate::reply::Reply;
use crate::traffic::RequestLine;

/// Replaces the body of a response without one if a fault has to cut within it.
const FILLER: [u8; 1024] = [b'.'; 1024];

/// The response to send, if any; an error ends the connection.
pub(super) async fn meet(asked: &Asked<'_>, action: Action, line: RequestLine, body: Incoming) -> io::Result<Reply> {
    match action {
        Action::Status(answer) => {
            let reply = answer.reply().map_err(io::Error::other)?;
            Ok(instead(asked, line, body, reply).await)
        }
        Action::Fail(Fail { fail }) => {
            let settings = asked.emulator.settings.lock().clone();
            Ok(instead(asked, line, body, failures::reply(asked.endpoint, &settings, fail)).await)
        }
        Action::Aadsts(Aadsts { aadsts }) => {
            let settings = asked.emulator.settings.lock().clone();
            Ok(instead(asked, line, body, failures::numbered(&settings, aadsts)).await)
        }
        Action::Delay(Delay { delay_ms }) => {
            let reply = asked.handle(line, body).await;
            Timer::after(Duration::from_millis(delay_ms)).await;
            Ok(reply)
        }
        Action::Slow(Slow { slow }) => {
            let reply = asked.handle(line, body).await;
            asked.hold.slow(Duration::from_secs(1) / slow.get());
            Ok(reply)
        }
        Action::Reset(Reset { reset }) => reset_at(asked, reset, line, body).await,
        Action::Truncate(Truncate { truncate }) => {
            let reply = asked.handle(line, body).await;
            asked.hold.cut(Cut::new(End::Abrupt, truncate, length(&reply)));
            Ok(reply)
        }
        Action::Close(_) => {
            let reply = asked.handle(line, body).await;
            asked.hold.cut(Cut::new(End::Orderly, usize::MAX, length(&reply)));
            Ok(reply)
        }
        Action::Hang(_) => {
            asked.record(line);
            read(body).await.ok();
            pending().await
        }
        Action::StallRead(_) => {
            asked.record(line);
            // Held unread while nothing happens: if dropped, it would be drained.
            let _unread = body;
            pending().await
        }
    }
}

/// Reads the request and answers with this reply, whatever was requested.
async fn instead(asked: &Asked<'_>, line: RequestLine, body: Incoming, reply: Reply) -> Reply {
    read(body).await.ok();
    asked.record(line.answered(reply.status()));
    reply
}

async fn reset_at(asked: &Asked<'_>, moment: Moment, line: RequestLine, body: Incoming) -> io::Result<Reply> {
    match moment {
        // A rule for `accept` affects connections, not requests.
        Moment::Accept | Moment::RequestBody => {
            asked.record(line);
            read_half(asked, body).await;
            Err(reset_now(asked))
        }
        Moment::BeforeHead => {
            asked.handle(line, body).await;
            Err(reset_now(asked))
        }
        Moment::AfterHead => {
            let reply = with_some_body(asked.handle(line, body).await);
            asked.hold.cut(Cut::new(End::Reset, usize::MAX, 0));
            Ok(reply)
        }
        Moment::MidBody => {
            let reply = with_some_body(asked.handle(line, body).await);
            asked.hold.cut(Cut::new(End::Reset, usize::MAX, length(&reply) / 2));
            Ok(reply)
        }
    }
}

fn reset_now(asked: &Asked<'_>) -> io::Error {
    asked.hold.reset_on_close().err().unwrap_or_else(|| io::Error::other("reset by a fault"))
}

/// Reads half of a body whose length is known, or the first piece of any other.
async fn read_half(asked: &Asked<'_>, mut body: Incoming) {
    let announced = asked.head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let half = announced.unwrap_or_default() / 2;
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken >= half {
            return;
        }
    }
}

/// A 204 has no body that can be cut, so it becomes a 200 with one.
fn with_some_body(mut reply: Reply) -> Reply {
    if length(&reply) == 0 {
        *reply.status_mut() = StatusCode::OK;
        *reply.body_mut() = Full::new(Bytes::from_static(&FILLER));
    }
    reply
}

fn length(reply: &Reply) -> usize {
    reply.body().size_hint().exact().and_then(|length| usize::try_from(length).ok()).unwrap_or_default()
}
