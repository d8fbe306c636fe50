//! What a browser, a health check or a reachability test gets (`tentacle-protocol.md` 1.4, 7.5).

/// The answer to anything that does not speak the protocol. ASCII only, so that characters are bytes; it
/// names no version.
pub(crate) fn response() -> Vec<u8> {
    const BODY: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Configured successfully</title></head>\n<body>\n\
        <h1>Configured successfully</h1>\n<p>This port is for deployments. A Server and its agents talk here; there is \
        nothing to see in a browser.</p>\n</body>\n</html>";
    format!(
        "HTTP/1.0 200 OK\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Content-Security-Policy: default-src 'none'\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n\
         X-Frame-Options: DENY\r\n\
         X-XSS-Protection: 1; mode=block\r\n\
         Strict-Transport-Security: max-age=31536000\r\n\
         \r\n\
         {BODY}\r\n\r\n",
        BODY.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_ascii_and_has_the_length_that_it_says() {
        let response = super::response();
        assert!(response.is_ascii());
        let text = String::from_utf8(response).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .expect("a length");
        assert_eq!(length.parse(), Ok(body.len() - 4));
    }
}
