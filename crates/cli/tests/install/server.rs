//! A server of files that behaves as the path says: well, or in one of the ways servers fail.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The server; it ends with the test.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// `/WAY/NAME`: how the file of that name is given.
///
/// good: as it is · cut: at most a third more each time, then the connection ends · norange: whole
/// files only · short: says and gives fewer bytes · flip: one byte otherwise · gone: 404 · busy: 503
pub fn serve(files: Vec<(&'static str, Vec<u8>)>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, cuts) = (asked.clone(), Arc::new(AtomicUsize::new(0)));
    let files = Arc::new(files);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (files, log, cuts) = (files.clone(), log.clone(), cuts.clone());
            std::thread::spawn(move || answer(stream, &files, &log, &cuts));
        }
    });
    Server { url, asked }
}

impl Server {
    /// What was asked for since the last look: method, path, range.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(
    mut stream: TcpStream,
    files: &[(&'static str, Vec<u8>)],
    log: &Mutex<Vec<String>>,
    cuts: &AtomicUsize,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut range = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            range = value.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap_or_default());
    log.lock().unwrap().push(format!("{method} {path} {}", range.unwrap_or(0)));
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (way, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut say = |head: String, body: &[u8]| {
        let body = if method == "HEAD" { &[] } else { body };
        // The other side may have seen enough.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    };
    let empty = |status: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    };
    let Some((_, whole)) = files.iter().find(|(file, _)| *file == name) else {
        return say(empty("404 Not Found"), &[]);
    };
    let mut bytes = whole.clone();
    match way {
        "flip" => bytes[whole.len() / 2] ^= 1,
        "short" => bytes.truncate(whole.len() / 2),
        "gone" => return say(empty("404 Not Found"), &[]),
        "busy" => return say(empty("503 Service Unavailable"), &[]),
        _ => {}
    }
    let from = range.filter(|_| way != "norange").unwrap_or(0);
    if from > bytes.len() {
        return say(empty("416 Range Not Satisfiable"), &[]);
    }
    let (total, body) = (bytes.len(), &bytes[from..]);
    let given = match way {
        "cut" => {
            cuts.fetch_add(1, Ordering::Relaxed);
            &body[..body.len().min(total / 3 + 1)]
        }
        _ => body,
    };
    let status = match range.filter(|_| way != "norange") {
        Some(_) => {
            format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{total}", total - 1)
        }
        None => "200 OK".to_owned(),
    };
    say(
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()),
        given,
    );
}
