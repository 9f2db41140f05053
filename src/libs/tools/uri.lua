-- `kong.tools.uri`: paths in their normal form.

local M = {}

local RESERVED = {}
for c in ("!*'();:@&=+$,/?%#[]"):gmatch(".") do
  RESERVED[c] = true
end

--- Percent-encodes what may not stand in a path.
function M.escape(uri)
  return (uri:gsub("[^!#$&'()*+,/:;=?@%[\\%]A-Za-z0-9%-_.~%%]", function(c)
    return ("%%%02X"):format(c:byte())
  end))
end

local function decode(hex)
  local c = string.char(tonumber(hex, 16))
  if RESERVED[c] then
    return "%" .. hex:upper()
  end
  return c
end

--- Resolves `.` and `..`, decodes what needs no encoding, and merges slashes if asked to.
function M.normalize(uri, merge_slashes)
  if uri == "" or uri == "/" then
    return uri
  end
  uri = uri:gsub("%%(%x%x)", decode)
  if not uri:find(".", 1, true) and not (merge_slashes and uri:find("//", 1, true)) then
    return uri
  end
  local out, at = {}, 1
  -- Each step takes one "/segment" (the first may lack its slash).
  while at <= #uri do
    local slash, segment, after = uri:match("^(/?)([^/]*)()", at)
    local last = after > #uri
    if segment == "." or segment == ".." then
      if segment == ".." and slash == "/" then
        out[#out] = nil
      end
      if last and slash == "/" then
        out[#out + 1] = "/"
      elseif slash == "" then
        after = after + 1
      end
    elseif not (merge_slashes and segment == "" and slash == "/" and not last) then
      out[#out + 1] = slash .. segment
    end
    at = after
  end
  return table.concat(out)
end

return M
