local cjson = require "cjson"
local safe = require "cjson.safe"
ngx.say(cjson.encode({ 1, 2.5, "x", true, false, cjson.null }))
ngx.say(cjson.encode({ a = 1 }), " ", cjson.encode({}), " ", cjson.encode("\0\1\n\"\\/é\127"))
ngx.say(cjson.encode(1e15), " ", cjson.encode(0.1), " ", cjson.encode(-0), " ", cjson.encode(123456789012))
ngx.say(cjson.encode({ [1] = 1, [3] = 3 }))
ngx.say(pcall(cjson.encode, { [1] = 1, [1000] = 2 }))
ngx.say(pcall(cjson.encode, { f = function() end }))
ngx.say((pcall(cjson.encode, 0 / 0)), " ", (pcall(cjson.encode, 1 / 0)))
ngx.say(pcall(cjson.encode, { [{}] = 1 }))
for _, s in ipairs { "[1,2,3]", '{"a":{"b":[null,true]}}', "nonsense", '{"a":1,}', "[1 true]", '"\\u00e4\\ud83d\\ude00"',
  "", "null", " 1 ", '"open', "[1]x", "0x10", "1e3", "-", "[[[]]]", '"\\x"', "NaN" } do
  local ok, v = pcall(cjson.decode, s)
  ngx.say(s, " -> ", ok, " ", type(v) == "table" and cjson.encode(v) or tostring(v))
  ngx.say("  safe ", (select(2, safe.decode(s))))
end
ngx.say(safe.encode({ f = print }))
ngx.say(cjson.decode("null") == cjson.null, " ", cjson.null == ngx.null, " ", cjson.decode("[]")[1])
local deep = ("["):rep(1001) .. ("]"):rep(1001)
ngx.say(pcall(cjson.decode, deep))
local own = cjson.new()
ngx.say(own.encode_number_precision and "precision" or "", " ", pcall(own.encode_sparse_array, true))
