//! Libraries of others: a user's copy comes before the embedded one, what is Kong's own does not.

use crate::support::Setup;

#[test]
fn d05_a_users_library_comes_before_the_embedded_one() {
    let gateway = Setup::probe(1)
        .lua(
            "resty/lrucache.lua",
            "return { new = function() return 'the user\\'s' end }",
        )
        .lua("pl/stringx.lua", "return { mine = true }")
        .lua("kong/tools/string.lua", "return { mine = true }")
        .lua("resty/openssl/digest.lua", "return { mine = true }")
        .start();
    let r = gateway.access(
        "kong.response.exit(200, table.concat({ require('resty.lrucache').new(), \
         tostring(require('pl.stringx').mine), tostring(require('kong.tools.string').mine), \
         tostring(require('resty.openssl.digest').mine), type(require('pl.tablex').deepcopy) }, ' '))",
    );
    assert_eq!(r.is(200).text(), "the user's true nil nil function");
}
