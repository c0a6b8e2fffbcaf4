//! HTTP/1.1 as bytes on a socket: one connection, one exchange at a time.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::tls::{Socket, Trust};

/// Longest status or header line read.
const LINE_MAX: u64 = 64 * 1024;
/// Longest body kept in memory.
const BODY_MAX: usize = 2 << 30;

/// Why an exchange has no whole response. Whether the server acted on the request is unknown in
/// every case but [`HttpError::Connect`].
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection was made: the request was certainly not seen.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The request could not be sent whole and no response came.
    #[error("sending: {0}")]
    Send(#[source] io::Error),
    /// The response did not come, or ended early.
    #[error("receiving: {0}")]
    Receive(#[source] io::Error),
    /// What came is not HTTP.
    #[error("malformed response: {0}")]
    Malformed(String),
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names as sent, values without surrounding space.
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self
            .headers
            .iter()
            .filter(|(have, _)| have.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// The body as text, for messages and XML.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One TCP connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Socket>,
}

impl Connection {
    /// Connects to `host:port`; reads and writes that wait longer than `patience` fail.
    ///
    /// # Errors
    /// [`HttpError::Connect`].
    pub fn open(authority: &str, patience: Duration) -> Result<Self, HttpError> {
        Self::open_to(authority, patience, None)
    }

    /// The same, over TLS where it is told whom to trust.
    ///
    /// # Errors
    /// [`HttpError::Connect`], also where the server is not trusted.
    pub fn open_to(
        authority: &str,
        patience: Duration,
        trust: Option<&Trust>,
    ) -> Result<Self, HttpError> {
        let stream = TcpStream::connect(authority).map_err(HttpError::Connect)?;
        let plain = Socket::Plain(stream);
        plain.set_patience(patience).map_err(HttpError::Connect)?;
        let stream = match (trust, plain) {
            (Some(trust), Socket::Plain(stream)) => trust
                .connect(authority, stream)
                .map_err(HttpError::Connect)?,
            (_, socket) => socket,
        };
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
        })
    }

    /// Puts bytes on the wire as they are.
    ///
    /// # Errors
    /// [`HttpError::Send`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        let socket = self.stream.get_mut();
        let sent = socket.write_all(bytes).and_then(|()| socket.flush());
        sent.map_err(HttpError::Send)
    }

    /// Sends a head and a body and reads the answer. A server may answer and close before it has
    /// read the body, so a failed send still looks for a response.
    ///
    /// # Errors
    /// As the variants say.
    pub fn exchange(
        &mut self,
        method: &str,
        head: &[u8],
        body: &[u8],
    ) -> Result<Response, HttpError> {
        let sent = self.send(head).and_then(|()| self.send(body));
        match (self.receive(method), sent) {
            (Ok(response), _) => Ok(response),
            (Err(_), Err(unsent)) => Err(unsent),
            (Err(unread), Ok(())) => Err(unread),
        }
    }

    /// Sends a head that says `Expect: 100-continue`, and the body only if asked to go on. The
    /// flag tells whether the interim answer came.
    ///
    /// # Errors
    /// As the variants say.
    pub fn exchange_expecting(
        &mut self,
        method: &str,
        head: &[u8],
        body: &[u8],
    ) -> Result<(bool, Response), HttpError> {
        self.send(head)?;
        let (status, headers) = self.receive_head()?;
        if status != 100 {
            return Ok((false, self.receive_body(method, status, headers)?));
        }
        self.send(body)?;
        Ok((true, self.receive(method)?))
    }

    /// Reads one whole response, past interim ones.
    ///
    /// # Errors
    /// [`HttpError::Receive`] where the stream ends early, [`HttpError::Malformed`].
    pub fn receive(&mut self, method: &str) -> Result<Response, HttpError> {
        loop {
            let (status, headers) = self.receive_head()?;
            if status >= 200 {
                return self.receive_body(method, status, headers);
            }
        }
    }

    /// Waits until the server closes the connection, and says whether it did so in time, having
    /// sent nothing more.
    pub fn is_closed_by_server(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok([])) || self.was_reset()
    }

    fn was_reset(&mut self) -> bool {
        let reset = io::ErrorKind::ConnectionReset;
        matches!(self.stream.fill_buf(), Err(error) if error.kind() == reset)
    }

    fn line(&mut self) -> Result<String, HttpError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LINE_MAX);
        limited
            .read_until(b'\n', &mut line)
            .map_err(HttpError::Receive)?;
        if line.pop() != Some(b'\n') {
            return Err(HttpError::Receive(io::ErrorKind::UnexpectedEof.into()));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| HttpError::Malformed("a header is not UTF-8".into()))
    }

    fn receive_head(&mut self) -> Result<(u16, Vec<(String, String)>), HttpError> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| HttpError::Malformed(status_line.clone()))?;
        Ok((status, self.header_block()?))
    }

    fn header_block(&mut self) -> Result<Vec<(String, String)>, HttpError> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| HttpError::Malformed(line.clone()))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn receive_body(
        &mut self,
        method: &str,
        status: u16,
        headers: Vec<(String, String)>,
    ) -> Result<Response, HttpError> {
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if method == "HEAD" || status == 204 || status == 304 {
            return Ok(response);
        }
        let chunked = response
            .header("transfer-encoding")
            .is_some_and(|value| value == "chunked");
        response.body = if chunked {
            self.chunked_body()?
        } else if let Some(length) = response.header("content-length") {
            let length = length
                .parse()
                .map_err(|_| HttpError::Malformed(length.to_owned()))?;
            self.exactly(length)?
        } else {
            let mut body = Vec::new();
            self.stream
                .read_to_end(&mut body)
                .map_err(HttpError::Receive)?;
            body
        };
        Ok(response)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, HttpError> {
        if length > BODY_MAX {
            return Err(HttpError::Malformed(format!("a body of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.stream
            .read_exact(&mut body)
            .map_err(HttpError::Receive)?;
        Ok(body)
    }

    fn chunked_body(&mut self) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| HttpError::Malformed(line))?;
            if size == 0 {
                self.header_block()?;
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            if !self.line()?.is_empty() {
                return Err(HttpError::Malformed(
                    "a chunk is longer than it says".into(),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that says `answer` to whatever comes, then closes.
    fn answer(answer: &'static str, method: &str) -> Result<Response, HttpError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let mut connection = Connection::open(&authority, Duration::from_secs(5)).unwrap();
        let response = connection.exchange(method, b"X / HTTP/1.1\r\n\r\n", b"");
        server.join().unwrap();
        response
    }

    #[test]
    fn reads_lengths_chunks_and_streams() {
        let sized = answer(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n\r\nabc",
            "GET",
        )
        .unwrap();
        assert_eq!(
            (sized.status, sized.body.as_slice()),
            (200, b"abc".as_slice())
        );
        assert_eq!(sized.header("a"), Some("b"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n";
        assert_eq!(answer(chunked, "GET").unwrap().body, b"abc");
        assert_eq!(
            answer("HTTP/1.1 200 OK\r\n\r\nabc", "GET").unwrap().body,
            b"abc"
        );
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(answer(interim, "DELETE").unwrap().status, 204);
        let head = answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD").unwrap();
        assert_eq!(head.body, b"");
    }

    #[test]
    fn a_short_body_is_an_error() {
        for cut in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nContent-Le",
        ] {
            assert!(
                matches!(answer(cut, "GET"), Err(HttpError::Receive(_))),
                "{cut}"
            );
        }
        assert!(matches!(
            answer("SSH-2.0\r\n\r\n", "GET"),
            Err(HttpError::Malformed(_))
        ));
        let long = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n";
        assert!(matches!(answer(long, "GET"), Err(HttpError::Malformed(_))));
    }

    #[test]
    fn nobody_there_is_certainly_unseen() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let refused = Connection::open(&free, Duration::from_secs(1));
        assert!(matches!(refused, Err(HttpError::Connect(_))));
    }
}
