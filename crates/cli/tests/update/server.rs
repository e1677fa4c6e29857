//! A server of a folder that behaves as it is told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone, Copy)]
pub enum Way {
    Well,
    /// Every file ends in its middle.
    Truncated,
    /// Targets come in thirds, and go on where they were cut.
    Cut,
    /// Targets have one byte otherwise.
    FlipTargets,
}

pub struct Server {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    way: Mutex<Way>,
    rests: AtomicBool,
}

impl Server {
    pub fn behave(&self, way: Way) {
        *self.shared.way.lock().unwrap() = way;
    }

    /// Whether somebody has gone on from a part.
    pub fn asked_for_a_rest(&self) -> bool {
        self.shared.rests.load(Ordering::Relaxed)
    }
}

/// Serves until the test ends.
pub fn serve(folder: PathBuf) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let shared =
        Arc::new(Shared { folder, way: Mutex::new(Way::Well), rests: AtomicBool::new(false) });
    let served = shared.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = served.clone();
            std::thread::spawn(move || answer(stream, &served));
        }
    });
    Server { url, shared }
}

fn answer(mut stream: TcpStream, shared: &Shared) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut from = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            from = value.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let way = *shared.way.lock().unwrap();
    // The other side may have seen enough.
    let mut say = |head: String, body: &[u8]| {
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    };
    let Ok(mut bytes) = std::fs::read(Path::new(&shared.folder).join(&path)) else {
        return say(
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            &[],
        );
    };
    let target = path.starts_with("targets/");
    if matches!(way, Way::FlipTargets) && target {
        bytes[0] ^= 1;
    }
    let (total, start) = (bytes.len(), from.unwrap_or(0));
    if start > 0 {
        shared.rests.store(true, Ordering::Relaxed);
    }
    let status = match from {
        Some(from) => {
            format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1)
        }
        None => "200 OK".to_owned(),
    };
    let body = &bytes[start..];
    let given = match way {
        Way::Truncated => &body[..body.len() / 2],
        Way::Cut if target => &body[..body.len().min(total / 3 + 1)],
        _ => body,
    };
    let length = body.len();
    say(
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"),
        given,
    );
}
