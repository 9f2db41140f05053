-- `kong.tools.uri`: paths in their normal form.

local byte, char, find, format, gsub, sub, upper =
  string.byte, string.char, string.find, string.format, string.gsub, string.sub, string.upper
local concat = table.concat

local M = {}

local RESERVED = {}
for c in ("!*'();:@&=+$,/?%#[]"):gmatch(".") do
  RESERVED[c] = true
end

local UNSAFE = "[^!#$&'()*+,/:;=?@[%\\%]A-Za-z0-9%-_.~%%]"

local function percent(c)
  return format("%%%02X", byte(c))
end

--- Percent-encodes what may not stand in a path.
function M.escape(uri)
  if find(uri, UNSAFE) then
    return (gsub(uri, UNSAFE, percent))
  end
  return uri
end

-- Reserved characters mean something else when they are decoded.
local function decoded(hex)
  local c = char(tonumber(hex, 16))
  if RESERVED[c] then
    return "%" .. upper(hex)
  end
  return c
end

-- RFC 3986, 5.2.4.
local function without_dots(uri, merge_slashes)
  local out, n, at, len = {}, 0, 1, #uri
  -- Each step takes one "/segment" (the first may lack its slash).
  while at <= len do
    local rooted = byte(uri, at) == 47
    local start = rooted and at + 1 or at
    local stop = (find(uri, "/", start, true) or len + 1) - 1
    local last = stop == len
    local segment = sub(uri, start, stop)
    if segment == "." or segment == ".." then
      if rooted and segment == ".." and n > 0 then
        n = n - 1
      end
      if rooted and last then
        n = n + 1
        out[n] = "/"
      elseif not rooted and not last then
        -- "../a": the slash goes as well, and "a" is the first once more.
        stop = stop + 1
      end
    elseif not (merge_slashes and rooted and segment == "" and not last) then
      n = n + 1
      out[n] = sub(uri, at, stop)
    end
    at = stop + 1
  end
  return concat(out, "", 1, n)
end

--- Resolves `.` and `..`, decodes what needs no encoding, and merges slashes if asked to.
function M.normalize(uri, merge_slashes)
  if uri == "" or uri == "/" then
    return uri
  end
  if find(uri, "%", 1, true) then
    uri = gsub(uri, "%%(%x%x)", decoded)
  end
  if find(uri, ".", 1, true) or (merge_slashes and find(uri, "//", 1, true)) then
    return without_dots(uri, merge_slashes)
  end
  return uri
end

return M
