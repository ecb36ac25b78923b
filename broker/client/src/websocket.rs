//! MQTT in WebSocket frames, as a stream of bytes. Where packets end, frames do not say.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use wasmqtt_codec::frame::MAX_PACKET_SIZE;

use crate::dial::Stream;
use crate::failure::Failure;

/// Bytes of one frame: brokers bound what they take.
const FRAME: usize = 64 << 10;

/// Asks for an upgrade.
pub(crate) async fn upgrade(
    stream: Box<dyn Stream>,
    authority: &str,
    path: &str,
    secure: bool,
) -> Result<Box<dyn Stream>, Failure> {
    let scheme = if secure { "wss" } else { "ws" };
    let url = format!("{scheme}://{authority}/{}", path.trim_start_matches('/'));
    let no =
        |error: &dyn std::fmt::Display| Failure::lost(format!("no WebSocket at {url}: {error}"));
    let mut request = url.as_str().into_client_request().map_err(|error| no(&error))?;
    let mqtt = HeaderValue::from_static("mqtt");
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, mqtt);
    // A broker may put as much in one message as in one packet.
    let most = MAX_PACKET_SIZE as usize;
    let config = WebSocketConfig::default()
        .max_message_size(Some(most.saturating_mul(2)))
        .max_frame_size(Some(most.saturating_mul(2)));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(Box::new(Frames { socket, rest: Bytes::new() })),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let body = String::from_utf8_lossy(body);
            let hint = if response.status() == 404 { "; --ws says the path" } else { "" };
            Err(no(&format!("{} {}{hint}", response.status(), body.trim())))
        }
        Err(Error::Protocol(ProtocolError::HandshakeIncomplete)) => {
            Err(no(&"the broker closed the connection; does this port speak WebSocket?"))
        }
        Err(error) => Err(no(&error)),
    }
}

/// The payloads of binary frames.
struct Frames {
    socket: WebSocketStream<Box<dyn Stream>>,
    /// Of the last frame, what has not been read.
    rest: Bytes,
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None | Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed)) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Ok(Message::Binary(payload))) => self.rest = payload,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::other("the broker sends text frames")));
                }
                // A ping is answered with the next flush.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io(error))),
            }
        }
        let len = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest.split_to(len));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io)?;
        let frame = bytes.get(..FRAME).unwrap_or(bytes);
        let message = Message::Binary(Bytes::copy_from_slice(frame));
        Pin::new(&mut self.socket).start_send(message).map_err(io)?;
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io(error))),
        }
    }
}

fn io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
