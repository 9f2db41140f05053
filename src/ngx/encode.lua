-- Escaping, encodings and digests: the ops themselves.

local ngx = ...
for name, op in pairs(require("moongate.ops").ngx_encode) do
  ngx[name] = op
end
