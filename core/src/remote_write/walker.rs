//! A walk over the wire format of one request, resumable at any byte. It keeps the open messages and its own state, but
//! no byte of the request.

use heapless::Vec;

use super::fault::{Fault, FaultKind};
use super::schema::{Field, Meaning, Message};
use super::shape::Series;
use super::tally::{Counts, Tally};
use super::text::Utf8;
use super::varint::{self, Varint};
use super::{Level, Version, shape};

/// Messages that can be open around the innermost one: request, series, and exemplar or histogram around a label or a
/// packed run.
const OPEN_MESSAGES: usize = 3;

/// How deep groups of unknown fields may be nested.
const OPEN_GROUPS: usize = 16;

// The words of `FaultKind::TooDeep`.
const _: () = assert!(OPEN_GROUPS == 16);

/// A length-delimited range that is being walked.
#[derive(Clone, Copy, Debug)]
struct Open {
    content: Content,
    /// Where it ends, in decoded bytes from the start of the request.
    end: usize,
    /// Whether the number of label references in it so far is odd.
    odd: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Fields(Message),
    /// A packed run of varints.
    Numbers(Meaning),
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing yet: a field, an element of a packed run, or the end of the message comes next.
    Next,
    /// The key of a field.
    Key,
    /// A number.
    Number(Meaning),
    /// The length of a field.
    Length(Field),
    /// Content that is not examined, of which `left` bytes are missing.
    Skip { left: usize },
    /// Text of which `left` bytes are missing.
    Text { left: usize },
}

/// Walks one request.
#[derive(Debug)]
pub(super) struct Walker {
    level: Level,
    /// Decoded bytes walked so far.
    at: usize,
    /// Where the current field or element starts.
    field_at: usize,
    /// The innermost open message.
    open: Open,
    outer: Vec<Open, OPEN_MESSAGES>,
    /// Field numbers of the open groups; all in the innermost message.
    groups: Vec<u32, OPEN_GROUPS>,
    state: State,
    varint: Varint,
    utf8: Utf8,
    tally: Tally,
}

impl Walker {
    /// A walker before the first byte of a request; no timestamp counts as too old.
    pub(super) fn new(version: Version, level: Level) -> Self {
        let request = match version {
            Version::V1 => Message::RequestV1,
            Version::V2 => Message::RequestV2,
        };
        Self {
            level,
            at: 0,
            field_at: 0,
            open: Open { content: Content::Fields(request), end: 0, odd: false },
            outer: Vec::new(),
            groups: Vec::new(),
            state: State::Next,
            varint: Varint::default(),
            utf8: Utf8::new(),
            tally: Tally::new(),
        }
    }

    /// Counts timestamps before `limit`, in milliseconds since 1970, as too old.
    pub(super) fn too_old_before(&mut self, limit: i64) {
        self.tally.too_old_before = limit;
    }

    /// Walks the next run of a request of `total` bytes.
    pub(super) fn feed(&mut self, run: &[u8], total: u32) -> Result<(), Fault> {
        if self.at == 0 && self.outer.is_empty() {
            self.open.end = total as usize;
        }
        let mut rest = run;
        loop {
            self.settle()?;
            if rest.is_empty() {
                return Ok(());
            }
            rest = self.advance(rest)?;
        }
    }

    /// Ends a request of which all bytes have been fed.
    pub(super) fn finish(&self) -> Result<Counts, Fault> {
        self.tally.finish().map_err(|(reference, at)| {
            let kind = FaultKind::Reference { reference, symbols: self.tally.symbols() };
            Fault { kind, at: at as u64 }
        })
    }

    /// Closes the messages and packed runs that end here.
    fn settle(&mut self) -> Result<(), Fault> {
        while self.at == self.open.end {
            if self.state != State::Next {
                return Err(self.fault(FaultKind::Cut));
            }
            if let Some(&field) = self.groups.last() {
                return Err(self.fault_here(FaultKind::GroupOpen { field }));
            }
            let Some(outer) = self.outer.pop() else { return Ok(()) };
            let ended = core::mem::replace(&mut self.open, outer);
            match ended.content {
                Content::Numbers(_) => self.open.odd ^= ended.odd,
                Content::Fields(_) if ended.odd => return Err(self.fault_here(FaultKind::OddReferences)),
                Content::Fields(message) => self.tally.close(message, self.at),
            }
        }
        Ok(())
    }

    /// Takes bytes from the front of `rest` and returns what is left.
    fn advance<'r>(&mut self, rest: &'r [u8]) -> Result<&'r [u8], Fault> {
        match self.state {
            State::Next => Ok(self.begin(rest)),
            State::Skip { left } => Ok(self.skip(rest, left)),
            State::Text { left } => self.text(rest, left),
            State::Key | State::Number(_) | State::Length(_) => {
                let (value, rest) = self.varint(rest)?;
                if let Some(value) = value {
                    self.state = self.value(value).map_err(|kind| self.fault(kind))?;
                }
                Ok(rest)
            }
        }
    }

    /// Skips all fields or elements of known shape at the front or, if there are none, begins the next one.
    fn begin<'r>(&mut self, rest: &'r [u8]) -> &'r [u8] {
        let left = self.pass_whole(rest);
        if left.len() < rest.len() {
            return left;
        }
        self.field_at = self.at;
        self.state = match self.open.content {
            Content::Fields(_) => State::Key,
            Content::Numbers(meaning) => State::Number(meaning),
        };
        rest
    }

    /// Passes over what is complete in `rest` and needs no resuming: the numbers of a packed run, and fields of the
    /// shapes of [`shape`].
    fn pass_whole<'r>(&mut self, rest: &'r [u8]) -> &'r [u8] {
        match self.open.content {
            Content::Numbers(meaning) => self.pass_numbers(meaning, rest),
            Content::Fields(message) if self.groups.is_empty() => self.pass_fields(message, rest),
            Content::Fields(_) => rest,
        }
    }

    fn pass_numbers<'r>(&mut self, meaning: Meaning, mut rest: &'r [u8]) -> &'r [u8] {
        loop {
            let front = self.front(rest);
            let Some((value, tail)) = varint::decode(front) else { return rest };
            self.number(meaning, value, self.at);
            rest = self.pass(rest, front.len().saturating_sub(tail.len()));
        }
    }

    /// Passes over the fields of `message` at the front that have a known shape. A series with a field of another shape
    /// is left open at that field.
    fn pass_fields<'r>(&mut self, message: Message, mut rest: &'r [u8]) -> &'r [u8] {
        while let Some(series) = shape::series(message, self.front(rest)) {
            self.tally.open(series.message);
            let content = rest.get(series.header..series.length).unwrap_or_default();
            let (left, odd) = self.pass_shapes(series.message, content, self.at.saturating_add(series.header));
            // With an odd number of references it is opened at its end, where `settle` refuses it.
            if !left.is_empty() || odd {
                return self.open_within(series, left, odd, rest);
            }
            // By the length in its header, which is what was passed: so a processor need not wait for the fields to find
            // the next series.
            rest = self.pass(rest, series.length);
            self.tally.close(series.message, self.at);
        }
        let front = self.front(rest);
        let (left, odd) = self.pass_shapes(message, front, self.at);
        self.open.odd ^= odd;
        self.pass(rest, front.len().saturating_sub(left.len()))
    }

    /// Opens the `series` at the front of `rest`, of which all but `left` has been passed over.
    fn open_within<'r>(&mut self, series: Series, left: &[u8], odd: bool, rest: &'r [u8]) -> &'r [u8] {
        // Only a request holds series, and is the outermost message: this is never too deep.
        if self.open(Content::Fields(series.message), series.length).is_ok() {
            self.open.odd = odd;
        }
        self.pass(rest, series.length.saturating_sub(left.len()))
    }

    /// Records the fields of `message` at the front of its `content`, which is at `at`, that have a known shape. Returns
    /// what follows them, and whether their label references are odd in number.
    #[inline]
    fn pass_shapes<'c>(&mut self, message: Message, content: &'c [u8], at: usize) -> (&'c [u8], bool) {
        let (mut left, mut odd) = (content, false);
        loop {
            let passed = content.len().saturating_sub(left.len());
            let Some(length) = self.known_shape(message, left, at.saturating_add(passed), &mut odd) else { break };
            left = left.get(length..).unwrap_or_default();
        }
        (left, odd)
    }

    /// Records the field at the front, or the labels, if they have a known shape; returns their length. `odd` changes
    /// with every label reference.
    #[inline]
    fn known_shape(&mut self, message: Message, front: &[u8], at: usize, odd: &mut bool) -> Option<usize> {
        match (message, *front.first()?) {
            (Message::SeriesV1, shape::FIELD_1) => shape::labels(front, self.level),
            (Message::SeriesV1 | Message::SeriesV2, shape::FIELD_2) => {
                let (length, timestamp) = shape::sample(front)?;
                self.tally.sample(timestamp);
                Some(length)
            }
            (Message::RequestV2, shape::FIELD_4) => {
                let length = shape::symbol(front, self.level)?;
                self.tally.symbol();
                Some(length)
            }
            (Message::SeriesV2, shape::FIELD_1) => {
                let (length, references) = shape::references(front)?;
                *odd ^= references.odd;
                if let Some((highest, place)) = references.highest {
                    self.tally.reference(highest, at.saturating_add(place));
                }
                Some(length)
            }
            (Message::SeriesV2, shape::FIELD_5) => shape::empty_metadata(front),
            _ => None,
        }
    }

    /// Continues reading the number at the front, no further than the message goes; `None` while bytes of it are
    /// missing.
    fn varint<'r>(&mut self, rest: &'r [u8]) -> Result<(Option<u64>, &'r [u8]), Fault> {
        let front = self.front(rest);
        if self.varint.is_fresh()
            && let Some((value, tail)) = varint::decode(front)
        {
            return Ok((Some(value), self.pass(rest, front.len().saturating_sub(tail.len()))));
        }
        for (index, &byte) in front.iter().enumerate() {
            if let Some(value) = self.varint.push(byte).map_err(|_| self.fault(FaultKind::Varint))? {
                return Ok((Some(value), self.pass(rest, index.saturating_add(1))));
            }
        }
        Ok((None, self.pass(rest, front.len())))
    }

    /// A number is complete: the state that follows it.
    fn value(&mut self, value: u64) -> Result<State, FaultKind> {
        match self.state {
            State::Key => self.key(value),
            State::Length(field) => self.length(field, value),
            State::Number(meaning) => {
                self.number(meaning, value, self.field_at);
                Ok(State::Next)
            }
            other => Ok(other),
        }
    }

    #[inline]
    fn number(&mut self, meaning: Meaning, value: u64, at: usize) {
        self.open.odd ^= meaning == Meaning::Reference;
        self.tally.number(meaning, value, at);
    }

    fn key(&mut self, key: u64) -> Result<State, FaultKind> {
        let number = u32::try_from(key).map_err(|_| FaultKind::Key { key })? >> 3;
        let [low, ..] = key.to_le_bytes();
        let wire = low & 7;
        if number == 0 {
            return Err(FaultKind::FieldZero);
        }
        let field = self.field(number);
        match (wire, field) {
            (0, Field::Number(meaning) | Field::Numbers(meaning)) => Ok(State::Number(meaning)),
            (0, Field::Unknown) => Ok(State::Number(Meaning::Any)),
            (1, Field::Double(meaning)) => {
                // What counts is that the field is there, not its value.
                self.tally.number(meaning, 0, self.field_at);
                self.fixed(8)
            }
            (1, Field::Doubles | Field::Unknown) => self.fixed(8),
            (5, Field::Unknown) => self.fixed(4),
            (
                2,
                Field::Unknown | Field::Text | Field::Symbol | Field::Nested(_) | Field::Numbers(_) | Field::Doubles,
            ) => Ok(State::Length(field)),
            (3, Field::Unknown) => self.groups.push(number).map_or(Err(FaultKind::TooDeep), |()| Ok(State::Next)),
            (4, _) if self.groups.last() == Some(&number) => {
                self.groups.pop();
                Ok(State::Next)
            }
            (4, _) => Err(FaultKind::GroupEnd { field: number }),
            (0..=5, _) => Err(FaultKind::FieldType { field: number, wire }),
            _ => Err(FaultKind::WireType { wire }),
        }
    }

    /// What field `number` of the innermost message holds; in a group every field is unknown.
    fn field(&self, number: u32) -> Field {
        match self.open.content {
            Content::Fields(message) if self.groups.is_empty() => message.field(number),
            _ => Field::Unknown,
        }
    }

    /// The length of `field` is known: begins to walk or skip that much.
    fn length(&mut self, field: Field, length: u64) -> Result<State, FaultKind> {
        let left = usize::try_from(length).ok().filter(|&length| length <= self.room());
        let left = left.ok_or(FaultKind::Length { length })?;
        match field {
            Field::Nested(message) => {
                self.tally.open(message);
                return self.open(Content::Fields(message), left);
            }
            Field::Numbers(meaning) => return self.open(Content::Numbers(meaning), left),
            Field::Doubles if left % 8 != 0 => return Err(FaultKind::PackedLength { length }),
            Field::Symbol => self.tally.symbol(),
            _ => {}
        }
        let is_text = matches!(field, Field::Text | Field::Symbol) && self.level == Level::Full;
        Ok(match left {
            0 => State::Next,
            left if is_text => State::Text { left },
            left => State::Skip { left },
        })
    }

    fn open(&mut self, content: Content, length: usize) -> Result<State, FaultKind> {
        self.outer.push(self.open).map_err(|_| FaultKind::TooDeep)?;
        self.open = Open { content, end: self.at.saturating_add(length), odd: false };
        Ok(State::Next)
    }

    /// A number of fixed length.
    fn fixed(&self, length: usize) -> Result<State, FaultKind> {
        if length > self.room() { Err(FaultKind::Cut) } else { Ok(State::Skip { left: length }) }
    }

    fn skip<'r>(&mut self, rest: &'r [u8], left: usize) -> &'r [u8] {
        let count = left.min(rest.len());
        self.state = match left.saturating_sub(count) {
            0 => State::Next,
            left => State::Skip { left },
        };
        self.pass(rest, count)
    }

    fn text<'r>(&mut self, rest: &'r [u8], left: usize) -> Result<&'r [u8], Fault> {
        let piece = rest.get(..left).unwrap_or(rest);
        let bad = self.utf8.feed(piece).err();
        let rest = self.pass(rest, bad.unwrap_or(piece.len()));
        let left = left.saturating_sub(piece.len());
        if bad.is_some() || (left == 0 && !self.utf8.is_whole()) {
            return Err(self.fault_here(FaultKind::Utf8));
        }
        self.state = if left == 0 { State::Next } else { State::Text { left } };
        Ok(rest)
    }

    /// Steps over `count` bytes at the front of `rest`.
    #[inline]
    fn pass<'r>(&mut self, rest: &'r [u8], count: usize) -> &'r [u8] {
        self.at = self.at.saturating_add(count);
        rest.get(count..).unwrap_or_default()
    }

    /// The part of `rest` that belongs to the innermost message.
    #[inline]
    fn front<'r>(&self, rest: &'r [u8]) -> &'r [u8] {
        rest.get(..self.room()).unwrap_or(rest)
    }

    /// Bytes up to the end of the innermost message.
    fn room(&self) -> usize {
        self.open.end.saturating_sub(self.at)
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { kind, at: self.field_at as u64 }
    }

    fn fault_here(&self, kind: FaultKind) -> Fault {
        Fault { kind, at: self.at as u64 }
    }
}
