//! A client that costs little: blocking HTTP/1.1 on one kept connection. Requests are put together in a buffer that is
//! kept, of an answer only what is needed is looked at, and bodies are thrown away as they come.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::net::{RecvFlags, recv};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use swr_core::digest::Digest;

/// One kept connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Stream>,
    /// The header that says who asks, its line's end included; empty for nobody.
    authorization: String,
    request: Vec<u8>,
    line: Vec<u8>,
    /// Where the last answer pointed; empty for nowhere.
    location: String,
    scratch: Vec<u8>,
}

/// What came back: the status, and how long the body was.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that is read")]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// How long the body was, in bytes.
    pub length: u64,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How the body of an answer ends.
enum Body {
    Length(u64),
    Chunks,
}

const ACCEPT: &str = "Accept: application/vnd.oci.image.manifest.v1+json, */*\r\n";

/// A body that is shorter goes out together with its head.
const TOGETHER_MAX: usize = 64 << 10;

impl Client {
    /// Connects, by TLS where there is a configuration for it.
    pub fn connect(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(config) => {
                let name = ServerName::IpAddress(address.ip().into());
                let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Stream::Tls(Box::new(StreamOwned::new(connection, stream)))
            }
        };
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            authorization: String::new(),
            request: Vec::new(),
            line: Vec::new(),
            location: String::new(),
            scratch: vec![0; 256 << 10],
        })
    }

    /// Says who asks from here on.
    pub fn authorize(&mut self, scheme: &str, credentials: &str) {
        self.authorization = format!("Authorization: {scheme} {credentials}\r\n");
    }

    /// A request for something, for [`send`](Self::send); of a range of it, both ends included, where one is
    /// given.
    pub fn prepare(&self, path: &str, range: Option<(u64, u64)>) -> Vec<u8> {
        let range = range.map(|(first, last)| format!("Range: bytes={first}-{last}\r\n")).unwrap_or_default();
        format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{}{ACCEPT}{range}\r\n", self.authorization)
            .into_bytes()
    }

    /// Asks for something and throws it away as it comes.
    pub fn get(&mut self, path: &str) -> io::Result<Reply> {
        self.send(&self.prepare(path, None))?;
        self.reply()
    }

    /// Asks for something small and keeps it.
    pub fn fetch(&mut self, path: &str) -> io::Result<Vec<u8>> {
        self.send(&self.prepare(path, None))?;
        let (status, Body::Length(length)) = self.reply_head()? else {
            return Err(io::Error::other("an answer of unknown length"));
        };
        let mut body = Vec::new();
        self.stream.by_ref().take(length).read_to_end(&mut body)?;
        accepted(status).map(|()| body)
    }

    /// Asks whether something is there.
    pub fn is_there(&mut self, path: impl Display) -> io::Result<bool> {
        self.begin("HEAD", path)?;
        self.finish(&[])?;
        // It says how long the body is, which does not come.
        let (status, _) = self.reply_head()?;
        Ok(status == 200)
    }

    /// Sends a request with a body, in pieces, and reads its answer.
    pub fn request(
        &mut self,
        method: &str,
        path: impl Display,
        content_type: &str,
        body: &[&[u8]],
    ) -> io::Result<Reply> {
        self.begin(method, path)?;
        self.go_on(content_type, body)
    }

    /// The same to where the last answer pointed, whole or relative; with the digest of what was sent where that was all.
    pub fn follow(
        &mut self,
        method: &str,
        digest: Option<&Digest>,
        content_type: &str,
        body: &[&[u8]],
    ) -> io::Result<Reply> {
        let location = std::mem::take(&mut self.location);
        let host = location.find("://").map_or(0, |scheme| scheme + 3);
        let path = location[host..].find('/').map_or("", |slash| &location[host + slash..]);
        if path.is_empty() {
            return Err(io::Error::other("an answer without a Location"));
        }
        match digest {
            Some(digest) if path.contains('?') => {
                self.begin(method, format_args!("{path}&digest={digest}"))?
            }
            Some(digest) => self.begin(method, format_args!("{path}?digest={digest}"))?,
            None => self.begin(method, path)?,
        }
        self.go_on(content_type, body)
    }

    fn begin(&mut self, method: &str, path: impl Display) -> io::Result<()> {
        self.request.clear();
        write!(self.request, "{method} {path} HTTP/1.1\r\nHost: bench\r\n{}", self.authorization)
    }

    fn go_on(&mut self, content_type: &str, body: &[&[u8]]) -> io::Result<Reply> {
        let length: usize = body.iter().map(|piece| piece.len()).sum();
        write!(self.request, "Content-Type: {content_type}\r\nContent-Length: {length}\r\n")?;
        self.finish(body)?;
        self.reply()
    }

    fn finish(&mut self, body: &[&[u8]]) -> io::Result<()> {
        self.request.extend_from_slice(b"\r\n");
        let stream = self.stream.get_mut();
        if body.iter().map(|piece| piece.len()).sum::<usize>() < TOGETHER_MAX {
            body.iter().for_each(|piece| self.request.extend_from_slice(piece));
            stream.write_all(&self.request)?;
        } else {
            stream.write_all(&self.request)?;
            body.iter().try_for_each(|piece| stream.write_all(piece))?;
        }
        stream.flush()
    }

    /// Its socket, to wait for an answer of several.
    pub fn socket(&self) -> io::Result<TcpStream> {
        match self.stream.get_ref() {
            Stream::Plain(stream) => stream.try_clone(),
            Stream::Tls(stream) => stream.sock.try_clone(),
        }
    }

    /// Sends a request that was prepared.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(request)?;
        self.stream.get_mut().flush()
    }

    /// Reads the answer, and throws its body away as it comes.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let (status, body) = self.reply_head()?;
        let length = match body {
            Body::Length(length) => self.discard(length)?,
            Body::Chunks => self.discard_chunks()?,
        };
        accepted(status).map(|()| Reply { status, length })
    }

    fn reply_head(&mut self) -> io::Result<(u16, Body)> {
        self.location.clear();
        let line = next_line(&mut self.stream, &mut self.line)?;
        let status = line.get(9..12).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status in `{line}`")))?;
        let mut body = Body::Length(0);
        loop {
            let line = next_line(&mut self.stream, &mut self.line)?;
            let Some((name, value)) = line.split_once(':') else { return Ok((status, body)) };
            if name.eq_ignore_ascii_case("content-length") {
                body = Body::Length(value.trim().parse().map_err(io::Error::other)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                body = Body::Chunks;
            } else if name.eq_ignore_ascii_case("location") {
                self.location.push_str(value.trim());
            }
        }
    }

    fn discard(&mut self, length: u64) -> io::Result<u64> {
        let mut left = length;
        while left > 0 {
            let room = self.scratch.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let gone = match self.stream.get_ref() {
                // The kernel throws it away without a copy.
                Stream::Plain(stream) if self.stream.buffer().is_empty() => {
                    recv(stream, &mut self.scratch[..room], RecvFlags::TRUNC)?.1
                }
                _ => self.stream.read(&mut self.scratch[..room])?,
            };
            if gone == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= gone as u64;
        }
        Ok(length)
    }

    fn discard_chunks(&mut self) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let size = next_line(&mut self.stream, &mut self.line)?;
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            total += self.discard(size)?;
            next_line(&mut self.stream, &mut self.line)?;
            if size == 0 {
                return Ok(total);
            }
        }
    }
}

/// The next line, without its end.
fn next_line<'a>(stream: &mut impl BufRead, line: &'a mut Vec<u8>) -> io::Result<&'a str> {
    line.clear();
    if stream.read_until(b'\n', line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    str::from_utf8(line.trim_ascii_end()).map_err(io::Error::other)
}

fn accepted(status: u16) -> io::Result<()> {
    if status >= 400 {
        return Err(io::Error::other(format!("the server answered {status}")));
    }
    Ok(())
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
