//! One direction of a connection: bytes that arrive later, in pieces, or not at all.

use std::collections::VecDeque;

use crate::random::Random;

/// How a link behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Longest piece that is written or read at once.
    pub(crate) piece: usize,
    /// Longest delay of a piece in milliseconds.
    pub(crate) delay: usize,
    /// Bytes that fit before the writer has to wait.
    pub(crate) capacity: usize,
}

impl Weather {
    /// Weather for a conversation of about `bytes` bytes: in pieces of one byte, only short ones end in time.
    pub(crate) fn random(random: &mut Random, bytes: usize) -> Self {
        let smallest = bytes.div_ceil(50);
        Self {
            piece: random.pick(&[1, 7, 100, 1460, 100_000, 100_000]).max(smallest),
            delay: random.pick(&[0, 0, 1, 5]),
            capacity: random.pick(&[64, 2000, 16_384, 1 << 20]),
        }
    }
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Blocked,
    Bytes(usize),
    End,
    Reset,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Reset,
}

/// Bytes in transit.
#[derive(Debug)]
struct Piece {
    due: u64,
    bytes: Vec<u8>,
    read: usize,
}

#[derive(Debug)]
pub(crate) struct Link {
    weather: Weather,
    random: Random,
    pieces: VecDeque<Piece>,
    held: usize,
    latest: u64,
    end: Option<(u64, End)>,
    deaf: bool,
}

impl Link {
    pub(crate) fn new(weather: Weather, random: &mut Random) -> Self {
        let random = Random::new(random.next());
        Self { weather, random, pieces: VecDeque::new(), held: 0, latest: 0, end: None, deaf: false }
    }

    /// Writes as much as there is room for; `None` when the reader is gone.
    pub(crate) fn write(&mut self, now: u64, bytes: &[u8]) -> Option<usize> {
        if self.deaf || self.end.is_some() {
            return None;
        }
        let room = self.weather.capacity.saturating_sub(self.held).min(bytes.len());
        let n = room.min(self.random.range(1, self.weather.piece));
        if n > 0 {
            self.put(now, &bytes[..n]);
        }
        Some(n)
    }

    /// Writes all of `bytes`, regardless of capacity.
    pub(crate) fn write_all(&mut self, now: u64, bytes: &[u8]) {
        for piece in bytes.chunks(self.weather.piece.max(1)) {
            self.put(now, piece);
        }
    }

    /// Appends bytes to the piece that was written last.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let piece = self.pieces.back_mut().expect("something before");
        piece.bytes.extend_from_slice(bytes);
        self.held += bytes.len();
    }

    /// Whether there is nothing unread.
    pub(crate) fn is_quiet(&self, now: u64) -> bool {
        let first = self.pieces.front().map(|piece| piece.due).or(self.end.map(|(due, _)| due));
        first.is_none_or(|due| due > now)
    }

    fn put(&mut self, now: u64, bytes: &[u8]) {
        let due = self.due(now);
        self.pieces.push_back(Piece { due, bytes: bytes.to_vec(), read: 0 });
        self.held += bytes.len();
    }

    fn due(&mut self, now: u64) -> u64 {
        let delay = self.random.range(0, self.weather.delay) as u64;
        self.latest = self.latest.max(now + delay);
        self.latest
    }

    /// Nothing more will be written. A reset also discards what has not arrived yet.
    pub(crate) fn end(&mut self, now: u64, end: End) {
        if self.end.is_none() {
            if end == End::Reset {
                self.pieces.retain(|piece| piece.due <= now);
            }
            self.end = Some((self.due(now), end));
        }
    }

    /// The reader is gone.
    pub(crate) fn deafen(&mut self) {
        self.deaf = true;
        self.pieces.clear();
    }

    /// Reads what has arrived, however it was written.
    pub(crate) fn read(&mut self, now: u64, into: &mut [u8]) -> Read {
        let most = into.len().min(self.random.range(1, self.weather.piece));
        let mut n = 0;
        while n < most
            && let Some(piece) = self.pieces.front_mut().filter(|piece| piece.due <= now)
        {
            let unread = &piece.bytes[piece.read..];
            let taken = unread.len().min(most - n);
            into[n..n + taken].copy_from_slice(&unread[..taken]);
            piece.read += taken;
            n += taken;
            if piece.read == piece.bytes.len() {
                self.pieces.pop_front();
            }
        }
        self.held -= n;
        match self.end {
            _ if n > 0 => Read::Bytes(n),
            Some((due, end)) if self.pieces.is_empty() && due <= now => match end {
                End::Closed => Read::End,
                End::Reset => Read::Reset,
            },
            _ => Read::Blocked,
        }
    }

    /// All that has arrived.
    pub(crate) fn read_all(&mut self, now: u64, into: &mut Vec<u8>) -> Read {
        let mut some = 0;
        while self.pieces.front().is_some_and(|piece| piece.due <= now)
            && let Some(piece) = self.pieces.pop_front()
        {
            let unread = &piece.bytes[piece.read..];
            self.held -= unread.len();
            some += unread.len();
            into.extend_from_slice(unread);
        }
        match self.read(now, &mut []) {
            Read::Blocked | Read::Bytes(_) if some > 0 => Read::Bytes(some),
            end => end,
        }
    }

    /// When the next piece, or the end, arrives.
    pub(crate) fn next(&self, now: u64) -> Option<u64> {
        let next = self.pieces.front().map(|piece| piece.due).or(self.end.map(|(due, _)| due));
        next.filter(|due| *due > now)
    }
}
