//! A server of a folder that misbehaves on demand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone, Copy)]
pub enum Way {
    Well,
    /// The timestamp never ends.
    Endless,
    /// Every file ends halfway.
    Truncated,
    Busy,
    Nothing,
}

pub struct Server {
    pub url: String,
    way: Arc<Mutex<Way>>,
}

impl Server {
    pub fn behave(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

/// Serves until the test ends.
pub fn serve(folder: PathBuf) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let way = Arc::new(Mutex::new(Way::Well));
    let told = way.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, way) = (folder.clone(), *told.lock().unwrap());
            std::thread::spawn(move || answer(stream, &folder, way));
        }
    });
    Server { url, way }
}

fn answer(mut stream: TcpStream, folder: &Path, way: Way) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let mut say = |head: &str, length: usize, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        // The other side may have seen enough.
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
    };
    let file = std::fs::read(folder.join(&path));
    match (way, file) {
        (Way::Busy, _) => say("503 Service Unavailable", 0, &[]),
        (Way::Nothing, _) | (_, Err(_)) => say("404 Not Found", 0, &[]),
        (Way::Endless, Ok(_)) if path.ends_with("timestamp.json") => {
            let chunk = vec![b' '; 1 << 16];
            say("200 OK", 1 << 40, &chunk)
                && (0..).take_while(|_| stream.write_all(&chunk).is_ok()).count() > 0
        }
        (Way::Truncated, Ok(bytes)) => say("200 OK", bytes.len(), &bytes[..bytes.len() / 2]),
        (_, Ok(bytes)) => say("200 OK", bytes.len(), &bytes),
    };
}
