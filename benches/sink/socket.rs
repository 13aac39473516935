//! A socket that is read in large steps, whatever sizes rustls asks for.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

/// Bytes of one receive.
const STEP: usize = 128 * 1024;

/// Reads are buffered, writes are not.
pub(crate) struct Socket(BufReader<TcpStream>);

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(STEP, stream)))
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}
