-- Kept for specs that still ask for it.
return { unpack = require("luassert.util").unpack }
