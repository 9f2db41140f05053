//! OpenResty's libraries that need a request: `resty.upload` over the request's socket.

use crate::support::gateway::one_line;
use crate::support::{Client, Setup};

#[test]
fn d04_resty_upload_reads_a_form_in_pieces() {
    let gateway = Setup::probe(1).start();
    let chunk = one_line(
        "local form, err = require('resty.upload'):new(5)
        if not form then ngx.say('no form: ', err) return ngx.exit(200) end
        form:set_timeout(2000)
        local out = {}
        while true do
          local kind, value, e = form:read()
          if not kind then ngx.say('failed: ', value, ' ', e) break end
          if kind == 'header' then out[#out + 1] = 'header ' .. (type(value) == 'table' and value[1] .. '=' .. value[2] or value)
          elseif kind == 'body' then out[#out + 1] = 'body ' .. value:gsub('%c', '.')
          else out[#out + 1] = kind end
          if kind == 'eof' then break end
        end
        ngx.print(table.concat(out, '|'))",
    );
    let body = "--AaB\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhello, world\r\n--AaB\r\n\
                Content-Disposition: form-data; name=\"b\"\r\nX-More: 1\r\n\r\n\r\n--AaB--\r\n";
    let ask = |content_type: &str| {
        let mut client = Client::connect(gateway.port);
        client.send(format!(
            "POST /up HTTP/1.1\r\nHost: a\r\nx-access: {chunk}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        client.answer(false).is(200).text()
    };
    assert_eq!(
        ask("multipart/form-data; boundary=AaB"),
        "header Content-Disposition=form-data; name=\"a\"|body hello|body , wor|body ld|part_end|\
         header Content-Disposition=form-data; name=\"b\"|header X-More=1|body |part_end|eof"
    );
    assert_eq!(
        ask("text/plain"),
        "no form: no boundary defined in Content-Type\n"
    );
}
