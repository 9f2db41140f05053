-- `date`: points in time that can be made from texts, tables and numbers, compared, moved and written.
--
-- An object has `at`, the seconds from 1970 to what it shows, and, after `toutc` and `tolocal`, `bias`: the
-- seconds that it shows more than UTC. Where a zone is asked for and none is known, it is the local one.

local floor, abs, tonumber, tostring, type = math.floor, math.abs, tonumber, tostring, type
local getmetatable, setmetatable, error = getmetatable, setmetatable, error

local DAY = 86400
local MONTHS = { "January", "February", "March", "April", "May", "June", "July", "August", "September",
  "October", "November", "December" }
local WEEKDAYS = { [0] = "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }
local ZONES = { GMT = 0, UTC = 0, Z = 0, EST = -5, EDT = -4, CST = -6, CDT = -5, MST = -7, MDT = -6, PST = -8,
  PDT = -7 }

local Date = {}
Date.__index = Date

-- === the calendar ===

-- Days from 1970 to the first of a month counted from year 0 (month 0 is January of year 0).
local function days_of(months)
  local year, month = floor(months / 12), months % 12 + 1
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  return 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400)
    + floor((153 * (month - 3) + 2) / 5) - 719468
end

local function civil(at)
  local days = floor(at / DAY) + 719468
  local era = floor(days / 146097)
  local of_era = days - era * 146097
  local leaps = floor(of_era / 1460) - floor(of_era / 36524) + floor(of_era / 146096)
  local of_years = floor((of_era - leaps) / 365)
  local of_year = of_era - (365 * of_years + floor(of_years / 4) - floor(of_years / 100))
  local month = floor((5 * of_year + 2) / 153)
  local day = of_year - floor((153 * month + 2) / 5) + 1
  month = month < 10 and month + 3 or month - 9
  return of_years + era * 400 + (month <= 2 and 1 or 0), month, day
end

local function make(at, bias)
  return setmetatable({ at = at, bias = bias }, Date)
end

local function month_number(value)
  if tonumber(value) then
    return tonumber(value)
  end
  local start = type(value) == "string" and #value >= 3 and value:lower() or nil
  for i = 1, start and 12 or 0 do
    if MONTHS[i]:lower():sub(1, #start) == start then
      return i
    end
  end
end

local function from_parts(year, month, day, hour, min, sec, ticks)
  month = month_number(month or 1)
  year, day = tonumber(year), tonumber(day or 1)
  if not (year and month and day) then
    return nil
  end
  return days_of(year * 12 + month - 1) * DAY + (day - 1) * DAY + (tonumber(hour) or 0) * 3600
    + (tonumber(min) or 0) * 60 + (tonumber(sec) or 0) + (tonumber(ticks) or 0) / 1e6
end

local function local_bias(at)
  local utc = os.date("!*t", at)
  utc.isdst = os.date("*t", at).isdst
  return floor(at) - os.time(utc)
end

-- === texts ===

-- The zone at the end of a text: the text before it and the seconds that its clocks are ahead of UTC.
local function take_zone(text)
  local before, name = text:match("^(.*[%d%s])(%u+)%s*$")
  if name and ZONES[name] then
    return before, ZONES[name] * 3600
  end
  local sign, hours, minutes
  before, sign, hours, minutes = text:match("^(.*:%d[^+-]*)([+-])(%d%d?):?(%d?%d?)%s*$")
  if before then
    local bias = tonumber(hours) * 3600 + (tonumber(minutes) or 0) * 60
    return before, sign == "-" and -bias or bias
  end
  return text, 0
end

local function take_time(text)
  local before, hour, min, rest = text:match("^(.-)[Tt%s]?(%d%d?):(%d%d)(.*)$")
  if not before then
    return text, 0
  end
  local sec, after = rest:match("^:(%d%d%.?%d*)(.*)$")
  after = after or rest
  local half = after:match("^%s*([AaPp])%.?[Mm]%.?")
  hour = tonumber(hour)
  if half then
    hour = hour % 12 + (half:lower() == "p" and 12 or 0)
    after = after:gsub("^%s*[AaPp]%.?[Mm]%.?", "")
  end
  return before .. " " .. after, hour * 3600 + min * 60 + (tonumber(sec) or 0)
end

local function parse(text)
  local rest, bias = take_zone(text)
  local seconds
  rest, seconds = take_time(rest)
  rest = rest:gsub("%f[%a]%a+%f[%A]", function(word)
    for i = 0, 6 do
      if #word >= 3 and WEEKDAYS[i]:lower():sub(1, #word) == word:lower() then
        return ""
      end
    end
  end)
  rest = rest:gsub("[,%s]+", " "):match("^%s*(.-)%s*$")
  if rest == "" then
    return make(seconds - bias)
  end
  local year, month, day = rest:match("^(%d%d%d%d)-?(%d%d)-?(%d%d)$")
  if not year then
    day, month, year = rest:match("^(%d%d?)[ -](%a+)[ -](%d+)$")
  end
  if not year then
    month, day, year = rest:match("^(%w+)[ /-](%d%d?)[ /-](%d+)$")
  end
  if year and #year == 2 then
    year = year + 1900
  end
  local at = from_parts(year, month, day)
  return at and make(at + seconds - bias)
end

-- What `date(...)` makes of a value; nil when it says no date.
local function read(value, ...)
  local kind = type(value)
  if getmetatable(value) == Date then
    return value
  elseif kind == "number" and select("#", ...) > 0 then
    local at = from_parts(value, ...)
    return at and make(at)
  elseif kind == "number" then
    return make(value)
  elseif kind == "string" then
    return parse(value)
  elseif kind == "table" then
    local at
    if value.year then
      at = from_parts(value.year, value.month, value.day, value.hour, value.min, value.sec, value.ticks)
    else
      at = from_parts(1970, 1, 1, value.hour, value.min, value.sec, value.ticks)
    end
    return at and make(at)
  elseif kind == "boolean" then
    local now = ngx.now()
    return value and make(now, 0) or make(now + local_bias(now))
  end
end

local function need(value)
  return read(value) or error("invalid date value: " .. tostring(value), 3)
end

-- === reading ===

function Date:getdate()
  return civil(self.at)
end

function Date:gettime()
  return self:gethours(), self:getminutes(), floor(self.at % 60), self:getticks()
end

function Date:getyear() return (civil(self.at)) end
function Date:getmonth() return (select(2, civil(self.at))) end
function Date:getday() return (select(3, civil(self.at))) end
function Date:gethours() return floor(self.at % DAY / 3600) end
function Date:getminutes() return floor(self.at % 3600 / 60) end
function Date:getseconds() return self.at % 60 end
function Date:getticks() return floor((self.at % 1) * 1e6 + 0.5) end
function Date:getweekday() return (floor(self.at / DAY) + 4) % 7 + 1 end
function Date:getisoweekday() return (floor(self.at / DAY) + 3) % 7 + 1 end
function Date:getyearday() return floor(self.at / DAY) - days_of(self:getyear() * 12) + 1 end

--- The week of the year by ISO 8601, and that week's year.
function Date:getisoweeknumber()
  local thursday = make(self.at + (4 - self:getisoweekday()) * DAY)
  return floor((thursday:getyearday() - 1) / 7) + 1, thursday:getyear()
end

--- Minutes that the local time zone is behind UTC.
function Date:getbias()
  return -(self.bias or local_bias(self.at)) / 60
end

function Date:copy()
  return make(self.at, self.bias)
end

function Date:spandays() return self.at / DAY end
function Date:spanhours() return self.at / 3600 end
function Date:spanminutes() return self.at / 60 end
function Date:spanseconds() return self.at end

-- === changing ===

local function adder(seconds)
  return function(self, n)
    self.at = self.at + n * seconds
    return self
  end
end

Date.adddays, Date.addhours, Date.addminutes = adder(DAY), adder(3600), adder(60)
Date.addseconds, Date.addticks = adder(1), adder(1e-6)

local function set(self, year, month, day)
  self.at = from_parts(year, month, day) + self.at % DAY
  return self
end

-- Moves by months; a day that the month does not have goes on into the next one.
function Date:addmonths(n)
  local year, month, day = civil(self.at)
  return set(self, year, month + n, day)
end

function Date:addyears(n)
  return self:addmonths(12 * n)
end

function Date:setyear(year, month, day)
  local y, m, d = civil(self.at)
  return set(self, year or y, month or m, day or d)
end

function Date:setmonth(month, day)
  return self:setyear(nil, month_number(month), day)
end

function Date:setday(day)
  return self:setyear(nil, nil, day)
end

function Date:sethours(hour, min, sec)
  local h, m = self:gethours(), self:getminutes()
  self.at = floor(self.at / DAY) * DAY + (hour or h) * 3600 + (min or m) * 60 + (sec or self.at % 60)
  return self
end

function Date:setminutes(min, sec) return self:sethours(nil, min, sec) end
function Date:setseconds(sec) return self:sethours(nil, nil, sec) end

function Date:toutc()
  self.at, self.bias = self.at - (self.bias or local_bias(self.at)), 0
  return self
end

function Date:tolocal()
  local utc = self.at - (self.bias or 0)
  local bias = local_bias(utc)
  self.at, self.bias = utc + bias, bias
  return self
end

-- === writing ===

local WRITE

local function written(self, text)
  return (text:gsub("%%[%a%%\b\\]", function(code)
    local write = WRITE[code:sub(2)]
    return write and write(self)
  end))
end

local function number(format, get)
  return function(self) return format:format(get(self)) end
end

local function shape(text)
  return function(self) return written(self, text) end
end

local function zone(format)
  return function(self)
    local bias = -self:getbias()
    return format:format(bias < 0 and "-" or "+", floor(abs(bias) / 60), abs(bias) % 60)
  end
end

WRITE = {
  a = function(self) return WEEKDAYS[self:getweekday() - 1]:sub(1, 3) end,
  A = function(self) return WEEKDAYS[self:getweekday() - 1] end,
  b = function(self) return MONTHS[self:getmonth()]:sub(1, 3) end,
  B = function(self) return MONTHS[self:getmonth()] end,
  C = number("%02d", function(self) return floor(self:getyear() / 100) end),
  d = number("%02d", Date.getday),
  g = number("%02d", function(self) return select(2, self:getisoweeknumber()) % 100 end),
  G = number("%04d", function(self) return select(2, self:getisoweeknumber()) end),
  H = number("%02d", Date.gethours),
  I = number("%02d", function(self) return (self:gethours() + 11) % 12 + 1 end),
  j = number("%03d", Date.getyearday),
  m = number("%02d", Date.getmonth),
  M = number("%02d", Date.getminutes),
  p = function(self) return self:gethours() < 12 and "AM" or "PM" end,
  S = number("%02d", function(self) return floor(self.at % 60) end),
  u = number("%d", Date.getisoweekday),
  U = number("%02d", function(self) return floor((self:getyearday() + 7 - self:getweekday()) / 7) end),
  V = number("%02d", function(self) return (self:getisoweeknumber()) end),
  w = number("%d", function(self) return self:getweekday() - 1 end),
  W = number("%02d", function(self) return floor((self:getyearday() + 7 - self:getisoweekday()) / 7) end),
  y = number("%02d", function(self) return self:getyear() % 100 end),
  Y = number("%04d", Date.getyear),
  z = zone("%s%02d%02d"),
  Z = function(self) return self.bias == 0 and "UTC" or os.date("%Z", floor(self.at)) end,
  ["\\"] = function(self) return ("%09.6f"):format(self.at % 60) end,
  ["\b"] = function(self) return self:getyear() > 0 and "" or "BCE" end,
  ["%"] = function() return "%" end,
  r = shape "%I:%M:%S %p",
  R = shape "%H:%M",
  T = shape "%H:%M:%S",
  D = shape "%m/%d/%y",
  F = shape "%Y-%m-%d",
  c = shape "%a %b %d %H:%M:%S %Y",
  x = shape "%a %b %d %Y",
  X = shape "%H:%M:%S",
}

local NAMED = {
  iso = "%Y-%m-%dT%T",
  http = "%a, %d %b %Y %T GMT",
  rfc850 = "%A, %d-%b-%y %T GMT",
  rfc1123 = "%a, %d %b %Y %T GMT",
  asctime = "%a %b %d %T %Y",
}

--- Writes the date by codes of strftime, or a named shape (`${iso}`, `${http}`, `${rfc850}`, `${asctime}`).
function Date:fmt(text)
  text = (text or "%a %b %d %T %Y"):gsub("%${(%w+)}", NAMED)
  return written(self, text)
end

Date.fmt0 = written

function Date.__tostring(self) return self:fmt() end
function Date.__eq(a, b) return a.at == b.at end
function Date.__lt(a, b) return need(a).at < need(b).at end
function Date.__le(a, b) return need(a).at <= need(b).at end
function Date.__sub(a, b) return make(need(a).at - need(b).at) end
function Date.__add(a, b) return make(need(a).at + need(b).at) end
function Date.__concat(a, b) return tostring(a) .. tostring(b) end

-- === the module ===

local M = {}

function M.epoch()
  return make(0)
end

--- The time between two dates, as a date whose `span...` say how long it is.
function M.diff(a, b)
  return need(a) - need(b)
end

function M.isleapyear(value)
  local year = type(value) == "number" and value or need(value):getyear()
  return (year % 4 == 0 and year % 100 ~= 0) or year % 400 == 0
end

return setmetatable(M, {
  __call = function(_, first, ...)
    local it = read(first, ...)
    if it and it == first then
      return it:copy()
    end
    return it
  end,
})
