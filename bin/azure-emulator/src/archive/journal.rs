//! An append-only file of accepted bodies, each written before it is acknowledged.
//!
//! A record is: length of the body (u32), schema (u8: 1 or 2), time of acceptance (i64, milliseconds since 1970),
//! sample window (u64, seconds), the body as received; integers are little-endian. The page cache keeps written data
//! when the process is killed, so nothing is synced; a record cut short by the kill was not acknowledged and is removed
//! at the next start.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::ingest::frame::Schema;

const HEAD: usize = 4 + 1 + 8 + 8;

/// One accepted body.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) schema: Schema,
    pub(super) now: i64,
    pub(super) window_s: u64,
    pub(super) body: Vec<u8>,
}

/// The file, positioned at its end.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// Opens or creates the file, removes an incomplete record, and returns the records to be read one by one.
    pub(super) fn open(path: &Path) -> io::Result<(Self, impl Iterator<Item = io::Result<Record>> + use<>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // Two writers would interleave their records.
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| io::Error::other(format!("{}: in use by another emulator: {error}", path.display())))?;
        let length = whole_records(&file)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        let mut reader = BufReader::new(File::open(path)?);
        let records = std::iter::from_fn(move || read_record(&mut reader).transpose());
        Ok((Journal { file, length }, records))
    }

    /// Writes one record. After an error the file is as before, as far as the file system allows.
    pub(super) fn append(&mut self, schema: Schema, now: i64, window_s: u64, body: &[u8]) -> io::Result<()> {
        let mut record = Vec::with_capacity(HEAD + body.len());
        record.extend(u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes());
        record.push(if schema == Schema::V1 { 1 } else { 2 });
        record.extend(now.to_le_bytes());
        record.extend(window_s.to_le_bytes());
        record.extend(body);
        if let Err(error) = self.file.write_all(&record) {
            self.cut(self.length)?;
            return Err(error);
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Removes all records.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.cut(0)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }
}

/// The length of the file up to the end of its last whole record.
fn whole_records(file: &File) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut length = 0;
    let mut head = [0; HEAD];
    while end - length >= HEAD as u64 {
        reader.read_exact(&mut head)?;
        let body = body_length(&head);
        if end - length - (HEAD as u64) < u64::from(body) {
            break;
        }
        reader.seek_relative(i64::from(body))?;
        length += HEAD as u64 + u64::from(body);
    }
    Ok(length)
}

fn read_record(reader: &mut impl Read) -> io::Result<Option<Record>> {
    let mut head = [0; HEAD];
    match reader.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut body = vec![0; usize::try_from(body_length(&head)).map_err(io::Error::other)?];
    reader.read_exact(&mut body)?;
    let [_, _, _, _, schema, now @ .., w0, w1, w2, w3, w4, w5, w6, w7] = head;
    Ok(Some(Record {
        schema: if schema == 1 { Schema::V1 } else { Schema::V2 },
        now: i64::from_le_bytes(now),
        window_s: u64::from_le_bytes([w0, w1, w2, w3, w4, w5, w6, w7]),
        body,
    }))
}

fn body_length(head: &[u8; HEAD]) -> u32 {
    let [a, b, c, d, ..] = *head;
    u32::from_le_bytes([a, b, c, d])
}
