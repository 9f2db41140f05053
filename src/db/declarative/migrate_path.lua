-- `kong.db.migrations.migrate_path_280_300`: a path as it was written up to 2.8, as it is written now.
--
-- Then a path with anything unusual in it was a regular expression; now `~` says so. And it was percent-decoded when
-- matched; now it is not, so that is done here, once.

local normalize = require("kong.tools.uri").normalize

local byte, char, find, upper = string.byte, string.char, string.find, string.upper

-- Octets that stay encoded in a regular expression: those reserved in URIs.
local RESERVED = {}
for c in ("!#$%&'()*+,/:;=?@[]"):gmatch(".") do
  RESERVED[byte(c)] = true
end

-- Octets that mean something in a regular expression but nothing in a URI.
local SPECIAL = {}
for c in (".^-{}\\|"):gmatch(".") do
  SPECIAL[byte(c)] = "\\" .. c
end

local function decode(regex)
  return (regex:gsub("%%(%x%x)", function(digits)
    local octet = tonumber(digits, 16)
    if RESERVED[octet] then
      return "%" .. upper(digits)
    end
    return SPECIAL[octet] or char(octet)
  end))
end

--- The path as it is written now, and whether that is a change.
return function(path)
  if not find(path, "[^%w.%-_~/%%]") then
    local now = normalize(path, true)
    return now, now ~= path
  end
  return "~" .. decode(path), true
end
