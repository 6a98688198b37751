//! A client that costs little: blocking HTTP/1.1 on one kept connection, bodies thrown away as they come.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One kept connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    scratch: Vec<u8>,
}

/// What came back: the status, where it pointed, and how long the body was.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a value that is read")]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Where it pointed.
    pub location: Option<String>,
    /// How long the body was, in bytes.
    pub length: u64,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, stream), scratch: vec![0; 256 << 10] })
    }

    /// Sends a request with a body of known length and reads its answer.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> io::Result<Reply> {
        let accept = "application/vnd.oci.image.manifest.v1+json";
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}, */*\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        if body.len() < 64 << 10 {
            stream.write_all(&[head.as_bytes(), body].concat())?;
        } else {
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)?;
        }
        self.reply(method == "HEAD")
    }

    /// Asks for something and throws it away as it comes.
    pub fn get(&mut self, path: &str) -> io::Result<Reply> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/vnd.oci.image.manifest.v1+json, */*\r\n\r\n"
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.reply(false)
    }

    /// Asks whether something is there.
    pub fn head(&mut self, path: &str) -> io::Result<Reply> {
        self.stream.get_mut().write_all(format!("HEAD {path} HTTP/1.1\r\nHost: bench\r\n\r\n").as_bytes())?;
        self.reply(true)
    }

    fn reply(&mut self, bodyless: bool) -> io::Result<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status in `{status_line}`")))?;
        let (mut location, mut length, mut chunked) = (None, None, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "location" => location = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse::<u64>().ok(),
                "transfer-encoding" => chunked = value.trim() == "chunked",
                _ => {}
            }
        }
        let length = match (bodyless || status == 204 || status == 304, chunked, length) {
            (true, ..) => length.unwrap_or(0),
            (false, true, _) => self.discard_chunks()?,
            (false, false, length) => self.discard(length.unwrap_or(0))?,
        };
        if status >= 400 {
            return Err(io::Error::other(format!("the server answered {status}")));
        }
        Ok(Reply { status, location, length })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn discard(&mut self, length: u64) -> io::Result<u64> {
        let mut left = length;
        while left > 0 {
            let room = self.scratch.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.stream.read(&mut self.scratch[..room])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read as u64;
        }
        Ok(length)
    }

    fn discard_chunks(&mut self) -> io::Result<u64> {
        let mut total = 0;
        loop {
            let size = u64::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            total += self.discard(size)?;
            self.line()?;
            if size == 0 {
                return Ok(total);
            }
        }
    }
}
