<?php
# login-throttled after two tries of a plain account within 300 s
$wgPasswordAttemptThrottle = [ [ 'count' => 2, 'seconds' => 300 ] ];
$wgMainCacheType = CACHE_DB;   # where the counter can be reset
