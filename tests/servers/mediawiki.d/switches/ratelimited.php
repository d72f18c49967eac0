<?php
# ratelimited: Uploader's third publication within 60 s (Admin is exempt)
$wgRateLimits['upload']['user'] = [ 2, 60 ];
$wgMainCacheType = CACHE_DB;   # where the counter can be reset
