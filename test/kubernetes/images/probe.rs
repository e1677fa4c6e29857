//! The probe: a server and a client small enough for a test pod, made of the standard library alone.
//!
//!   probe serve [PORT]       answers every request; logs method, path and body on one line
//!   probe get URL            prints the body of http://HOST[:PORT]/PATH
//!   probe resolve NAME       prints the addresses of NAME, one a line
//!   probe dns ADDRESS PORT   a name server that answers every A query with ADDRESS
//!   probe connect HOST PORT  exit 0 when a TCP connection opens within 3 s, else 1
//!   probe eat MIB            takes that much memory and keeps it

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;

const TIMEOUT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        [] | ["serve"] => serve(8080),
        ["serve", port] => port.parse().map_err(Failure::from).and_then(serve),
        ["get", url] => get(url),
        ["resolve", name] => resolve(name),
        ["dns", address, port] => dns(address, port),
        ["connect", host, port] => connect(&format!("{host}:{port}")).map(drop),
        ["eat", mib] => eat(mib),
        _ => Err("usage: probe serve|get|resolve|dns|connect|eat (see images/probe.rs)".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        if let Err(error) = answer(stream?) {
            println!("request lost: {error}");
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> Result<(), Failure> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    let (head, length) = loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Err("the connection ended inside a request".into());
        }
        request.extend_from_slice(&part[..read]);
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())?;
            if request.len() >= end + 4 + length {
                break (head, request.split_off(end + 4));
            }
        }
    };
    let line = head.lines().next().unwrap_or_default();
    println!("{} {}", line.trim_end_matches(" HTTP/1.1"), String::from_utf8_lossy(&length));
    let body = format!("{}\n", std::env::var("HOSTNAME").unwrap_or_default());
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    Ok(())
}

fn get(url: &str) -> Result<(), Failure> {
    let rest = url.strip_prefix("http://").ok_or("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut stream = connect(&address)?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no body")?;
    print!("{body}");
    if head.split(' ').nth(1) == Some("200") { Ok(()) } else { Err(head.lines().next().unwrap_or("").into()) }
}

fn connect(address: &str) -> Result<TcpStream, Failure> {
    let address = address.to_socket_addrs()?.next().ok_or("the name has no address")?;
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn resolve(name: &str) -> Result<(), Failure> {
    for address in (name, 0).to_socket_addrs()? {
        println!("{}", address.ip());
    }
    Ok(())
}

/// Answers A queries with one address and all others with no record.
fn dns(address: &str, port: &str) -> Result<(), Failure> {
    let address: Ipv4Addr = address.parse()?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port.parse()?))?;
    println!("answering on {}", socket.local_addr()?);
    let mut query = [0; 512];
    loop {
        let (length, from) = socket.recv_from(&mut query)?;
        let query = &query[..length];
        // The question: labels up to an empty one, then type and class.
        let Some(labels) = query.get(12..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else { continue };
        let Some(question) = query.get(12..12 + labels + 5) else { continue };
        let is_a = question[labels + 1..labels + 3] == [0, 1];
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
        answer.extend(question);
        if is_a {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
            answer.extend(address.octets());
        }
        socket.send_to(&answer, from)?;
    }
}

fn eat(mib: &str) -> Result<(), Failure> {
    let mut held = Vec::new();
    for _ in 0..mib.parse::<usize>()? {
        held.push(vec![1_u8; 1 << 20]);
    }
    println!("holding {} MiB", held.len());
    loop {
        std::thread::park();
    }
}
