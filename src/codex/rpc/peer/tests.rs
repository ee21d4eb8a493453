use serde_json::json;
use tokio::io::{
    AsyncBufReadExt, BufReader, DuplexStream, Lines as TokioLines, ReadHalf, WriteHalf,
};

use super::*;

/// The other side of a connection, driven by hand.
struct Other {
    heard: TokioLines<BufReader<ReadHalf<DuplexStream>>>,
    mouth: WriteHalf<DuplexStream>,
}

impl Other {
    async fn hears(&mut self) -> Value {
        let line = self.heard.next_line().await.unwrap().expect("a line");
        serde_json::from_str(&line).unwrap()
    }

    async fn says(&mut self, line: &str) {
        self.mouth.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
}

/// Keeps what it hears.
struct Ear(mpsc::Sender<Incoming>);

impl Listener for Ear {
    fn hear(&self, incoming: Incoming) {
        self.0.try_send(incoming).unwrap();
    }

    fn closed(&self) {}
}

fn pair() -> (Peer, mpsc::Receiver<Incoming>, Other, CancellationToken) {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (reader, writer) = tokio::io::split(ours);
    let stop = CancellationToken::new();
    let (ear, incoming) = mpsc::channel(1000);
    let peer = connect(reader, writer, Ear(ear), &stop, &TaskTracker::new());
    let (ear, mouth) = tokio::io::split(theirs);
    (peer, incoming, Other { heard: BufReader::new(ear).lines(), mouth }, stop)
}

#[tokio::test]
async fn answers_find_their_questions_in_any_order() {
    let (peer, _incoming, mut other, _stop) = pair();
    let conversation = async {
        let (first, second) = (other.hears().await, other.hears().await);
        other.says(&json!({"id": second["id"], "result": "two"}).to_string()).await;
        other.says(&json!({"id": first["id"], "result": "one"}).to_string()).await;
    };
    let (one, two, ()) =
        tokio::join!(peer.request("a", json!({})), peer.request("b", json!({})), conversation);
    assert_eq!(one.unwrap(), "one");
    assert_eq!(two.unwrap(), "two");
}

#[tokio::test]
async fn garbage_does_not_end_the_conversation() {
    let (peer, mut incoming, mut other, _stop) = pair();
    for line in ["", "garbage", "[1,2]", r#"{"id":99,"result":1}"#, r#"{"method":"told"}"#] {
        other.says(line).await;
    }
    assert!(matches!(incoming.recv().await, Some(Incoming::Notification { .. })));
    let asked = tokio::join!(peer.request("a", json!({})), async {
        let question = other.hears().await;
        other
            .says(&json!({"id": question["id"], "error": {"code": 1, "message": "no"}}).to_string())
            .await;
    });
    assert!(matches!(asked.0, Err(RpcError::Refused(error)) if error.message == "no"));
}

#[tokio::test]
async fn the_end_of_the_stream_fails_what_is_open() {
    let (peer, mut incoming, mut other, _stop) = pair();
    let (asked, ()) = tokio::join!(peer.request("a", json!({})), async {
        other.hears().await;
        drop(other);
    });
    assert!(matches!(asked, Err(RpcError::Closed)));
    assert!(incoming.recv().await.is_none());
    assert!(matches!(peer.request("b", json!({})).await, Err(RpcError::NotSent)));
}

#[tokio::test]
async fn what_nobody_can_have_read_is_told_from_what_somebody_may_have() {
    let (ours, theirs) = tokio::io::duplex(64);
    let (_, writer) = tokio::io::split(ours);
    // The reading half never ends, the writing half is broken.
    let stop = CancellationToken::new();
    let (ear, _incoming) = mpsc::channel(1);
    let peer = connect(Silence, writer, Ear(ear), &stop, &TaskTracker::new());
    drop(theirs);
    assert!(matches!(peer.request("a", json!({})).await, Err(RpcError::NotSent)));
}

/// Never says anything and never ends.
struct Silence;

impl AsyncRead for Silence {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn stopping_closes_the_other_sides_stdin() {
    let (_peer, _incoming, mut other, stop) = pair();
    stop.cancel();
    assert!(other.heard.next_line().await.unwrap().is_none());
}

#[tokio::test]
async fn a_question_dropped_is_forgotten() {
    let (peer, _incoming, mut other, _stop) = pair();
    {
        let mut asked = Box::pin(peer.request("a", json!({})));
        tokio::select! {
            _ = &mut asked => panic!("nobody answered"),
            _ = other.hears() => {}
        }
    }
    other.says(r#"{"id":1,"result":"late"}"#).await;
    let (asked, ()) = tokio::join!(peer.request("b", json!({})), async {
        let question = other.hears().await;
        other.says(&json!({"id": question["id"], "result": "mine"}).to_string()).await;
    });
    assert_eq!(asked.unwrap(), "mine");
}
