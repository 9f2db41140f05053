-- `kong.tools.gzip`.

local ops = require("moongate.ops").libs

local M = {}

--- `str` compressed.
M.deflate_gzip = ops.gzip

--- `str` decompressed; nil and an error if it is not gzip (or grows beyond 256 MiB).
M.inflate_gzip = ops.gunzip

return M
